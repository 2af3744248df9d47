/*
 * t_sg_wait.c - tests for src/port/sg_wait.c.  Expectations: inotify(7), proc(5).
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "port/sg.h"

#define LIMIT_MS 60000 /* only ends a hang */

struct scene {
    char folder[32], first[48], second[48];
    struct sg_wait wait;
    struct port_sg_device seen;
};

static int
make_scene(void **state)
{
    static struct scene scene;

    snprintf(scene.folder, sizeof scene.folder, "/tmp/t_wait.XXXXXX");
    if (mkdtemp(scene.folder) == NULL)
        return -1;
    snprintf(scene.first, sizeof scene.first, "%s/sdz", scene.folder);
    snprintf(scene.second, sizeof scene.second, "%s/sdz1", scene.folder);
    close(open(scene.first, O_CREAT | O_WRONLY, 0600));
    close(open(scene.second, O_CREAT | O_WRONLY, 0600));
    scene.seen = (struct port_sg_device){ .fd = -1 };
    sg_wait_init(&scene.wait);
    *state = &scene;
    return 0;
}

static int
remove_scene(void **state)
{
    struct scene *scene = *state;

    sg_wait_end(&scene->wait);
    unlink(scene->first);
    unlink(scene->second);
    return rmdir(scene->folder);
}

static bool
told(struct sg_wait *wait, int ms)
{
    struct pollfd fds[SG_WAIT_FDS];

    sg_wait_fds(wait, fds);
    poll(fds, SG_WAIT_FDS, ms);
    return sg_wait_told(wait, fds);
}

static void
node__closed_or_rights_changed__told_once(void **state)
{
    struct scene *scene = *state;
    int before, fd;

    /* Who has it open since before, for reading only, is heard as well. */
    before = open(scene->second, O_RDONLY);
    snprintf(scene->seen.used_nodes, sizeof scene->seen.used_nodes,
             "%s %s/none %s ", scene->first, scene->folder, scene->second);
    sg_wait_begin(&scene->wait, &scene->seen);
    assert_false(told(&scene->wait, 0));
    fd = open(scene->first, O_RDWR);
    assert_false(told(&scene->wait, 0));
    close(fd);
    assert_true(told(&scene->wait, LIMIT_MS));
    assert_false(told(&scene->wait, 0));
    sg_wait_begin(&scene->wait, &scene->seen);
    assert_false(told(&scene->wait, 0));
    close(before);
    assert_true(told(&scene->wait, LIMIT_MS));
    sg_wait_begin(&scene->wait, &scene->seen);
    assert_int_equal(chmod(scene->first, 0660), 0);
    assert_true(told(&scene->wait, LIMIT_MS));
    sg_wait_end(&scene->wait);
    assert_false(told(&scene->wait, 0));
}

/* Until it is told to, then unmounts; and then to end. */
static void
be_elsewhere(int in, int out, const char *folder)
{
    char byte = 0;
    bool good = unshare(CLONE_NEWNS) == 0 &&
                mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
                mount("none", folder, "tmpfs", 0, NULL) == 0;

    if (write(out, good ? "y" : "n", 1) == 1 && read(in, &byte, 1) == 1)
        umount(folder);
    _exit(read(in, &byte, 1) < 0);
}

static void
mounts_elsewhere__unmounted__told(void **state)
{
    struct scene *scene = *state;
    int to[2], from[2];
    char answer;
    pid_t child;

    assert_int_equal(pipe(to) | pipe(from), 0);
    child = fork();
    if (child == 0) {
        close(to[1]);
        be_elsewhere(to[0], from[1], scene->folder);
    }
    close(to[0]);
    assert_int_equal(read(from[0], &answer, 1), 1);
    if (answer == 'y') {
        snprintf(scene->seen.used_mounts, sizeof scene->seen.used_mounts,
                 "/proc/%d/mountinfo", (int) child);
        sg_wait_begin(&scene->wait, &scene->seen);
        assert_false(told(&scene->wait, 0));
        assert_int_equal(write(to[1], "u", 1), 1);
        assert_true(told(&scene->wait, LIMIT_MS));
    }
    close(to[1]);
    close(from[0]);
    close(from[1]);
    assert_int_equal(waitpid(child, NULL, 0), child);
    if (answer != 'y')
        skip(); /* no namespace can be made here */
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, make_scene, remove_scene)
    const struct CMUnitTest tests[] = {
        T(node__closed_or_rights_changed__told_once),
        T(mounts_elsewhere__unmounted__told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
