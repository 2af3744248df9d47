/*
 * Tests for src/base/iscsi_login.c.  Expectations: RFC 7143, 11.13.5 (status) and
 * 13.8 (TargetAddress = domainname[:port][,portal-group-tag]); libiscsi's texts as
 * they were seen.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <errno.h>

#include "base/iscsi_login.h"

static void
login_status__is_what_the_text_ends_with(void **state)
{
    (void) state;
    assert_int_equal(
        iscsi_login_status("Failed to log in to target. Status: Authentication "
                           "failure(513)"),
        0x0201);
    assert_int_equal(iscsi_login_status("Failed to log in to target. It did "
                                        "not return CHAP_N during SECNEG."),
                     0);
    assert_int_equal(iscsi_login_status("iscsi_service_reconnect (513)"), 0);
    assert_int_equal(iscsi_login_status("log in (513"), 0);
    assert_int_equal(iscsi_login_status("log in (99999)"), 0);
    assert_int_equal(iscsi_login_status(""), 0);
    assert_true(iscsi_login_is_ours(0x0201) && iscsi_login_is_ours(0x020B));
    assert_false(iscsi_login_is_ours(0x0301) || iscsi_login_is_ours(0x0101) ||
                 iscsi_login_is_ours(0));
    assert_true(iscsi_login_is_moved(0x0101) && iscsi_login_is_moved(0x0102));
    assert_false(iscsi_login_is_moved(0x0201) || iscsi_login_is_moved(0));
}

static void
portal__of_an_address__without_the_tag(void **state)
{
    static const struct {
        const char *address, *portal;
    } cases[] = {
        { "vault.example", "vault.example" },
        { "vault.example:3261", "vault.example:3261" },
        { "10.0.0.7:3260,1", "10.0.0.7:3260" },
        { "[2001:db8::7]:3260,1", "[2001:db8::7]:3260" },
        { "[2001:db8::7]", "[2001:db8::7]" },
        { "vault.example,1", "vault.example" },
    };
    static const char *const none[] = {
        "",
        ":3260",
        "two words:3260",
        "vault:",
        "vault:0",
        "vault:x",
        "vault:65536",
        "vault:3260x",
        "[]:3260",
        "[::1",
        "[::1]3260",
        "a/b",
        "vault\n:3260",
        "vault:-1",
        ",1",
        "user@h",
        "[::1 ]:1",
        "vault:99999999999999999999",
    };
    char portal[64], longest[80];

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(
            iscsi_login_portal(cases[i].address, portal, sizeof portal));
        assert_string_equal(portal, cases[i].portal);
    }
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        if (iscsi_login_portal(none[i], portal, sizeof portal))
            fail_msg("\"%s\" is no address", none[i]);
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_false(iscsi_login_portal(longest, portal, sizeof portal));
    longest[63] = '\0';
    assert_true(iscsi_login_portal(longest, portal, sizeof portal));
    assert_string_equal(portal, longest);
}

static void
secret__first_line_of_the_file__or_why_not(void **state)
{
    char path[] = "/tmp/t_iscsi_login.XXXXXX", secret[ISCSI_SECRET_MAX] = "old";
    char longest[ISCSI_SECRET_MAX];
    int fd = mkstemp(path);

    (void) state;
    memset(longest, 'x', sizeof longest);
    assert_true(fd >= 0);
    assert_int_equal(iscsi_login_secret(path, secret, sizeof secret), -ENODATA);
    assert_int_equal(write(fd, "correct-horse\r\nsecond\n", 22), 22);
    assert_int_equal(iscsi_login_secret(path, secret, sizeof secret), 0);
    assert_string_equal(secret, "correct-horse");
    /* As long as can be, and longer. */
    assert_int_equal(pwrite(fd, longest, sizeof longest, 0), sizeof longest);
    assert_int_equal(iscsi_login_secret(path, secret, sizeof secret), -E2BIG);
    assert_int_equal(ftruncate(fd, sizeof secret - 1), 0);
    assert_int_equal(iscsi_login_secret(path, secret, sizeof secret), 0);
    assert_int_equal(strlen(secret), sizeof secret - 1);
    assert_int_equal(pwrite(fd, "\n", 1, 0), 1);
    assert_int_equal(iscsi_login_secret(path, secret, sizeof secret), -ENODATA);
    close(fd);
    unlink(path);
    assert_int_equal(iscsi_login_secret(path, secret, sizeof secret), -ENOENT);
    assert_int_equal(iscsi_login_secret("/", secret, sizeof secret), -EISDIR);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(login_status__is_what_the_text_ends_with),
        cmocka_unit_test(portal__of_an_address__without_the_tag),
        cmocka_unit_test(secret__first_line_of_the_file__or_why_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
