/*
 * fuzz_tapelink.c - both ends of a tape session, fed with anything
 *
 * The service's end gets the frames of a hostile client: descriptors of every
 * kind, windows that change while they are used, signals, and requests of any
 * bytes.  What each call of the tape answers comes from the input, too.  Held:
 * replies are whole, in the order of the requests, and no larger than these;
 * nothing outside the window is touched (guard pages lie around it); the tape is
 * closed once, and nobody speaks of it afterwards; no descriptor stays behind.
 *
 * The client's end gets whatever a service may say, from HTTP on.  Held: every
 * call ends; no result is larger than what was asked for; texts end.
 *
 * Input: which end (bit 0) and how; client: number of calls, the calls, what the
 * service says.  Service: descriptors, signals, number of answers of the tape,
 * the answers, what the client sends.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "tapelink/tape_link.h"
#include "tapelink/tape_serve.h"
#include "tapelink/window.h"
#include "tapelink/wire.h"

#define CHECK(condition)                                                       \
    do {                                                                       \
        if (!(condition)) {                                                    \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);    \
            abort();                                                           \
        }                                                                      \
    } while (0)

#define PAGE   4096u
#define END_MS 200000
#define HEARD  (4u << 20) /* of replies, at most */
#define WINDOW 65536u
#define CALLS  64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

struct input {
    const uint8_t *at, *end;
};

static uint8_t
take8(struct input *in)
{
    return in->at < in->end ? *in->at++ : 0;
}

/* So many bytes of it are another's. */
static struct input
cut(struct input *in, size_t bytes)
{
    size_t left = (size_t) (in->end - in->at);
    struct input head = { in->at, in->at + (bytes < left ? bytes : left) };

    in->at = head.end;
    return head;
}

/* --- windows with a page that nobody may touch on both sides ------------------- */

static size_t
pages_of(size_t size)
{
    return (size + PAGE - 1) / PAGE * PAGE;
}

/* What window.c calls mmap (see meson.build). */
void *
fuzz_mmap(void *where, size_t size, int protection, int flags, int fd,
          off_t offset)
{
    size_t room = pages_of(size) + 2 * PAGE;
    char *base = (char *) syscall(SYS_mmap, where, room, PROT_NONE,
                                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *got;

    CHECK(base != MAP_FAILED);
    got = (void *) syscall(SYS_mmap, base + PAGE, size, protection,
                           flags | MAP_FIXED, fd, offset);
    if (got != base + PAGE)
        syscall(SYS_munmap, base, room);
    return got;
}

int
fuzz_munmap(void *base, size_t size)
{
    return (int) syscall(SYS_munmap, (char *) base - PAGE,
                         pages_of(size) + 2 * PAGE);
}

/* --- a tape whose answers are part of the input -------------------------------- */

struct ri_tape {
    struct input answers; /* the session's thread's */
    unsigned told;        /* of interruptions: read and written, so that a tape
                           * that is gone is noticed */
    struct {
        void *data;
        size_t size;
    } lent[8]; /* and not given back */
    unsigned lent_count;
    void (*waits)(void *context);
    void *context;
};

static struct input answers; /* of the next tape */
static int opened, closed;   /* atomic */

static int
answer(struct ri_tape *tape, struct ri_tape_result *out)
{
    static const int errors[] = {
        0, 0, 0, 0, -EIO, -ENOMEM, -ENOSPC, -ECANCELED
    };
    uint8_t how = take8(&tape->answers), flags = take8(&tape->answers);

    if (flags & 128 && tape->waits != NULL)
        tape->waits(tape->context);
    memset(out, 0, sizeof *out);
    out->filemark = flags & 1;
    out->end_of_data = flags & 2;
    out->early_warning = flags & 4;
    out->end_of_tape = flags & 8;
    out->beginning = flags & 16;
    out->left = (int8_t) how;
    /* As long as a text may be, and one byte longer. */
    memset(out->text, 'x',
           flags & 32   ? sizeof out->text
           : flags & 64 ? sizeof out->text - 1
                        : 3);
    return errors[how % 8];
}

static void
touch(void *data, size_t size, bool write)
{
    volatile uint8_t *at = data;

    if (size == 0)
        return;
    if (write)
        at[0] = at[size - 1] = at[size / 2] = 0x55;
    else
        (void) (at[0] + at[size - 1] + at[size / 2]);
}

/* Every call that lends nothing looks at what was lent, so it must be there. */
void
ri_tape_give_back(struct ri_tape *tape)
{
    for (; tape->lent_count > 0; tape->lent_count--)
        touch(tape->lent[tape->lent_count - 1].data,
              tape->lent[tape->lent_count - 1].size, false);
}

static void
lend(struct ri_tape *tape, void *data, size_t size)
{
    if (tape->lent_count == 8)
        ri_tape_give_back(tape);
    tape->lent[tape->lent_count].data = data;
    tape->lent[tape->lent_count++].size = size;
}

int
ri_tape_open(struct ri_service *service, const char *drive,
             const struct ri_tape_how *how, struct ri_tape **out_tape,
             struct ri_error *out_error)
{
    (void) service;
    CHECK(strnlen(how->tape, sizeof how->tape) < sizeof how->tape);
    if (strcmp(drive, "tape0") != 0 || strcmp(how->tape, "busy") == 0) {
        memset(out_error->text, 'e', sizeof out_error->text - 1);
        out_error->text[sizeof out_error->text - 1] = '\0';
        return -EBUSY;
    }
    *out_tape = calloc(1, sizeof **out_tape);
    CHECK(*out_tape != NULL);
    (*out_tape)->answers = answers;
    __atomic_add_fetch(&opened, 1, __ATOMIC_SEQ_CST);
    return 0;
}

int
ri_tape_close(struct ri_tape *tape, struct ri_tape_result *out_result)
{
    int rc = answer(tape, out_result);

    ri_tape_give_back(tape);
    free(tape);
    __atomic_add_fetch(&closed, 1, __ATOMIC_SEQ_CST);
    return rc;
}

int
ri_tape_read_lent(struct ri_tape *tape, void *data, size_t size,
                  struct ri_tape_result *out_result)
{
    int rc = answer(tape, out_result);

    touch(data, size, true);
    out_result->bytes = rc == 0 ? size : 0;
    lend(tape, data, size);
    return rc;
}

int
ri_tape_write_lent(struct ri_tape *tape, const void *data, size_t size,
                   struct ri_tape_result *out_result)
{
    int rc = answer(tape, out_result);

    touch((void *) (uintptr_t) data, size, false);
    out_result->bytes = rc == 0 ? size : 0;
    lend(tape, (void *) (uintptr_t) data, size);
    return rc;
}

int
ri_tape_op(struct ri_tape *tape, int mt_op, int64_t count,
           struct ri_tape_result *out_result)
{
    (void) mt_op;
    (void) count;
    return answer(tape, out_result);
}

int
ri_tape_next(struct ri_tape *tape, const char *next, bool blank,
             struct ri_tape_result *out_result)
{
    (void) blank;
    CHECK(strlen(next) < RI_NAME_MAX);
    return answer(tape, out_result);
}

int
ri_tape_status(struct ri_tape *tape, struct mtget *out_get,
               struct mtpos *out_pos, struct ri_tape_info *out_info)
{
    struct ri_tape_result unused;

    memset(out_get, 0, sizeof *out_get);
    memset(out_pos, 0, sizeof *out_pos);
    memset(out_info, 0, sizeof *out_info);
    return answer(tape, &unused);
}

void
ri_tape_cancel(struct ri_tape *tape)
{
    __atomic_add_fetch(&tape->told, 1, __ATOMIC_SEQ_CST);
}

void
ri_tape_before_waits(struct ri_tape *tape, void (*waits)(void *context),
                     void *context)
{
    tape->waits = waits;
    tape->context = context;
}

void
ri_tape_interrupt(struct ri_tape *tape)
{
    __atomic_add_fetch(&tape->told, 1, __ATOMIC_SEQ_CST);
}

/* --- a hostile client ----------------------------------------------------------- */

struct ears {
    int fd;
    uint8_t *heard;
    size_t len;
};

static void *
listen_on(void *context)
{
    struct ears *ears = context;
    ssize_t n;

    while (ears->len < HEARD && (n = recv(ears->fd, ears->heard + ears->len,
                                          HEARD - ears->len, 0)) > 0)
        ears->len += (size_t) n;
    return NULL;
}

static void
send_on(int fd, struct input in)
{
    while (in.at < in.end) {
        ssize_t sent = send(fd, in.at, (size_t) (in.end - in.at), MSG_NOSIGNAL);

        if (sent <= 0)
            return;
        in.at += sent;
    }
}

/* What goes along as the window; -1: nothing. */
static int
window_of(uint8_t kind, size_t size)
{
    int fd;

    switch (kind % 8) {
    case 0:
        return -1;
    case 1: /* not sealed */
        fd = memfd_create("f", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        CHECK(ftruncate(fd, (off_t) size) == 0);
        return fd;
    case 2:
        return open("/dev/zero", O_RDWR | O_CLOEXEC);
    case 3:
        return open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    case 4: /* sealed against growing alone */
        fd = memfd_create("f", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        CHECK(ftruncate(fd, (off_t) size) == 0);
        CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) == 0);
        return fd;
    default:
        fd = memfd_create("f", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        CHECK(ftruncate(fd, (off_t) size) == 0);
        CHECK(fcntl(fd, F_ADD_SEALS,
                    F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL |
                        (kind & 0x10 ? F_SEAL_WRITE : 0)) == 0);
        return fd;
    }
}

static size_t
window_size(uint8_t kind)
{
    static const size_t sizes[] = {
        WINDOW, 1, 0, 4097, 16u << 20, 64u << 20, 12345, (64u << 20) + 1
    };

    return sizes[kind >> 5];
}

/* Every reply is one of a request, in its order. */
static void
check_replies(const struct ears *ears, struct input sent)
{
    struct tape_reply reply;
    struct tape_request request;
    size_t at = 0;

    while (ears->len - at >= sizeof reply) {
        memcpy(&reply, ears->heard + at, sizeof reply);
        CHECK(reply.extra <= TAPE_EXTRA_MAX);
        CHECK(ears->len - at - sizeof reply >= reply.extra);
        CHECK((size_t) (sent.end - sent.at) >= sizeof request);
        memcpy(&request, sent.at, sizeof request);
        CHECK(request.extra < RI_NAME_MAX);
        CHECK(reply.op == request.op && reply.rc <= 0);
        if (request.op == TAPE_READ || request.op == TAPE_WRITE) {
            CHECK(reply.bytes <= request.size);
            CHECK(!(reply.flags & TAPE_SKIPPED) || reply.rc == -ECANCELED);
        }
        at += sizeof reply + reply.extra;
        sent.at += sizeof request;
        sent.at += request.extra < sent.end - sent.at ? request.extra
                                                      : sent.end - sent.at;
    }
    CHECK(at == ears->len);
}

/* Descriptors that stay behind make the lowest free one higher. */
static int
lowest_free(void)
{
    int fd = dup(2);

    close(fd);
    return fd;
}

static void
run_service(struct input *in)
{
    static struct tape_server *server;
    static uint8_t heard[HEARD];
    uint8_t kind = take8(in), how = take8(in), signals = take8(in);
    struct ears ears = { -1, heard, 0 };
    int pair[2], signal_pair[2], fds[4], before;
    unsigned count = 0;
    pthread_t listener;
    size_t first;

    if (server == NULL)
        server = tape_server_new(NULL);
    CHECK(server != NULL);
    answers = cut(in, take8(in));
    before = lowest_free();
    opened = closed = 0;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, signal_pair) == 0);
    fds[0] = window_of(kind, window_size(how));
    count += fds[0] >= 0;
    if (!(how & 1))
        fds[count++] = dup(signal_pair[1]);
    else if (how & 2)
        fds[count++] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (how & 4)
        fds[count++] = dup(2);
    CHECK(tape_server_take(server, how & 8 ? "other" : "tape0", pair[0]) == 0);
    ears.fd = pair[1];
    CHECK(pthread_create(&listener, NULL, listen_on, &ears) == 0);
    first = (size_t) (in->end - in->at);
    if (first > sizeof(struct tape_request) + 5)
        first = sizeof(struct tape_request) + (how & 16 ? 5 : 0);
    if (first > 0 && count > 0) {
        struct input sent = *in;

        (void) tape_send_fds(pair[1], in->at, first, fds, count);
        sent.at += first;
        if (signals & 1)
            send_on(signal_pair[0], (struct input){ &signals, &signals + 1 });
        if (signals & 2)
            (void) send(signal_pair[0], "iic", signals & 4 ? 3 : 2,
                        MSG_NOSIGNAL);
        send_on(pair[1], sent);
    } else {
        send_on(pair[1], *in);
    }
    if (signals & 8)
        shutdown(signal_pair[0], SHUT_RDWR);
    shutdown(pair[1], SHUT_WR);
    CHECK(tape_server_wait(server, END_MS) == 0);
    pthread_join(listener, NULL);
    CHECK(opened == closed && opened <= 1);
    check_replies(&ears, *in);
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
    close(pair[1]);
    close(signal_pair[0]);
    close(signal_pair[1]);
    CHECK(lowest_free() == before);
}

/* --- a hostile service ------------------------------------------------------------ */

static const char head[] = "HTTP/1.1 101 Switching Protocols\r\n"
                           "Upgrade: reinsert-tape\r\n\r\n";

struct voice {
    int listener;
    struct input says;
    bool shake; /* the way there is as it should be */
};

static void *
speak(void *context)
{
    struct voice *voice = context;
    struct tape_reply reply = { .op = TAPE_OPEN };
    int fd = accept4(voice->listener, NULL, NULL, SOCK_CLOEXEC);
    uint8_t unused[4096];

    CHECK(fd >= 0);
    if (voice->shake) {
        send_on(fd, (struct input){ (const uint8_t *) head,
                                    (const uint8_t *) head + sizeof head - 1 });
        send_on(fd, (struct input){ (const uint8_t *) &reply,
                                    (const uint8_t *) (&reply + 1) });
    }
    send_on(fd, voice->says);
    shutdown(fd, SHUT_WR);
    while (recv(fd, unused, sizeof unused, 0) > 0)
        ;
    close(fd);
    return NULL;
}

static void
check_result(const struct ri_tape_result *result)
{
    CHECK(strnlen(result->text, sizeof result->text) < sizeof result->text);
}

#define ENDS(text) CHECK(strnlen(text, sizeof(text)) < sizeof(text))

static void
check_info(const struct ri_tape_info *info)
{
    ENDS(info->drive);
    ENDS(info->state);
    ENDS(info->tape);
    ENDS(info->serial);
    ENDS(info->barcode);
    ENDS(info->format);
    ENDS(info->label);
    ENDS(info->sense);
}

static void
reap(struct tape_link *link)
{
    struct tape_link_done done;
    unsigned before = tape_link_pending(link);
    int rc = tape_link_reap(link, &done);

    CHECK(rc <= 0);
    CHECK(before > 0 || rc == -ENOENT);
    if (rc == 0) {
        CHECK(done.result.bytes <= done.size);
        CHECK(done.offset + done.size <= WINDOW);
        check_result(&done.result);
    }
    CHECK(before == 0 || tape_link_pending(link) == before - 1);
}

static void
one_call(struct tape_link *link, uint8_t call)
{
    static uint8_t data[512];
    struct ri_tape_result result = { .text = "" };
    struct ri_tape_info info = { .drive = "" };
    struct mtget get;
    struct mtpos pos;
    size_t size = (call >> 4) * 16u;
    void *window = tape_link_buffer(link, &(size_t){ 0 });

    switch (call & 15) {
    case 0:
        (void) tape_link_read(link, window, size, &result);
        CHECK(result.bytes <= size);
        break;
    case 1:
        (void) tape_link_read(link, data, size, &result);
        CHECK(result.bytes <= size);
        break;
    case 2:
        (void) tape_link_write(link, window, size, &result);
        break;
    case 3:
        (void) tape_link_op(link, call >> 4, 1, &result);
        break;
    case 4:
        if (tape_link_status(link, &get, &pos, &info) == 0)
            check_info(&info);
        break;
    case 5:
        (void) tape_link_next(link, "next", call >> 7, &result);
        break;
    case 6:
        tape_link_interrupt(link);
        break;
    case 7:
        tape_link_cancel(link);
        break;
    case 8:
    case 9:
        (void) tape_link_submit_write(link, size, size);
        break;
    case 10:
    case 11:
        (void) tape_link_submit_read(link, WINDOW - size, size);
        break;
    case 12:
        tape_link_go_on(link);
        break;
    case 13:
        CHECK(tape_link_submit_read(link, WINDOW, 1) == -EINVAL);
        (void) tape_link_ready(link);
        break;
    default:
        reap(link);
    }
    check_result(&result);
}

/* A socket that one program after the other can listen on, gone at once. */
static int
listen_at(char *out_path, size_t max)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(out_path, max, "/tmp/fuzz-tapelink-%ld", (long) getpid());
    snprintf(address.sun_path, sizeof address.sun_path, "%s", out_path);
    (void) unlink(out_path);
    CHECK(fd >= 0 &&
          bind(fd, (struct sockaddr *) &address, sizeof address) == 0 &&
          listen(fd, 1) == 0);
    return fd;
}

static void
run_client(struct input *in, bool shake)
{
    static struct tape_link_window *window;
    struct input calls = cut(in, take8(in) % CALLS);
    const struct ri_tape_how how = { .write = true, .tape = "T1" };
    struct voice voice = { .says = *in, .shake = shake };
    struct ri_tape_result result = { .text = "" };
    struct tape_link *link = NULL;
    struct ri_error error = { "" };
    int before = lowest_free();
    pthread_t speaker;
    char path[64];

    if (window == NULL) {
        CHECK(tape_link_window_new(WINDOW, &window) == 0);
        before = lowest_free();
    }
    voice.listener = listen_at(path, sizeof path);
    CHECK(pthread_create(&speaker, NULL, speak, &voice) == 0);
    if (tape_link_open_in(path, "tape0", &how, window, &link, &error) != 0) {
        CHECK(link == NULL);
        ENDS(error.text);
    } else {
        CHECK(link != NULL);
        while (calls.at < calls.end)
            one_call(link, *calls.at++);
        (void) tape_link_close(link, &result);
        check_result(&result);
    }
    pthread_join(speaker, NULL);
    close(voice.listener);
    (void) unlink(path);
    CHECK(lowest_free() == before);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct input in = { data, data + bytes };
    uint8_t how = take8(&in);

    if (how & 1)
        run_client(&in, (how & 2) != 0);
    else
        run_service(&in);
    return 0;
}
