/*
 * nbdload.c - a light NBD load generator
 *
 *   nbdload ADDRESS EXPORT MODE BLOCK-BYTES DEPTH SECONDS
 *
 * ADDRESS is unix:PATH or tcp:HOST:PORT, MODE randread, randwrite, seqread or
 * seqwrite.  Keeps DEPTH requests in flight on one connection; takes as many
 * replies as are there with one receive, and sends the requests that replace
 * them with one send, so that it costs far less than the server under test.
 * Prints one line.  Looks at no data; an error reply ends it.
 *
 * SPDX-License-Identifier: MIT
 */
#include <endian.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define RX_BYTES  (1u << 20)
#define DEPTH_MAX 256
#define REQUEST   28
#define REPLY     16

struct load {
    int fd;
    bool write, sequential;
    uint32_t block, depth;
    uint64_t size, next, random;
    uint64_t done, in_flight;
    uint8_t headers[DEPTH_MAX][REQUEST];
    uint8_t *data; /* what writes carry */
};

static void
die(const char *what)
{
    fprintf(stderr, "nbdload: %s\n", what);
    exit(1);
}

static void
die_errno(const char *what)
{
    fprintf(stderr, "nbdload: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double
now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double) time.tv_sec + (double) time.tv_nsec / 1e9;
}

static void
put(uint8_t **at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        *(*at)++ = (uint8_t) (value >> 8 * (bytes - 1 - i));
}

static uint64_t
get(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;

    while (bytes-- > 0)
        value = value << 8 | *at++;
    return value;
}

static void
receive_all(int fd, void *buffer, size_t bytes)
{
    if (bytes > 0 && recv(fd, buffer, bytes, MSG_WAITALL) != (ssize_t) bytes)
        die("the server closed the connection");
}

static void
send_all(int fd, struct iovec *iov, unsigned count)
{
    while (count > 0) {
        struct msghdr message = { .msg_iov = iov, .msg_iovlen = count };
        ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);

        if (sent < 0)
            die_errno("send");
        while (count > 0 && (size_t) sent >= iov->iov_len) {
            sent -= (ssize_t) iov->iov_len;
            iov++;
            count--;
        }
        if (count > 0) {
            iov->iov_base = (uint8_t *) iov->iov_base + sent;
            iov->iov_len -= (size_t) sent;
        }
    }
}

static int
connect_unix(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    int bytes = 4 << 20;

    if (strlen(path) >= sizeof address.sun_path)
        die("the path is too long");
    strcpy(address.sun_path, path);
    if (fd < 0 || connect(fd, (struct sockaddr *) &address, sizeof address) < 0)
        die_errno(path);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    return fd;
}

static int
connect_tcp(const char *text)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list;
    char *host = strdup(text), *port = host ? strrchr(host, ':') : NULL;
    int fd, one = 1;

    if (port == NULL)
        die("expected tcp:HOST:PORT");
    *port++ = '\0';
    if (getaddrinfo(host, port, &hints, &list) != 0)
        die("unknown host");
    fd = socket(list->ai_family, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, list->ai_addr, list->ai_addrlen) < 0)
        die_errno(text);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    freeaddrinfo(list);
    free(host);
    return fd;
}

/* The oldest way in, which every server has: EXPORT_NAME without zeroes. */
static void
shake_hands(struct load *load, const char *name)
{
    uint8_t buffer[18 + 4096], *at = buffer;
    size_t length = strlen(name);

    receive_all(load->fd, buffer, 18);
    if (memcmp(buffer, "NBDMAGICIHAVEOPT", 16) != 0 || !(buffer[17] & 2))
        die("no newstyle NBD server");
    if (length > 4000)
        die("the export name is too long");
    put(&at, 3, 4);
    memcpy(at, "IHAVEOPT", 8);
    at += 8;
    put(&at, 1, 4);
    put(&at, length, 4);
    memcpy(at, name, length);
    send_all(load->fd,
             &(struct iovec){ buffer, (size_t) (at - buffer) + length }, 1);
    receive_all(load->fd, buffer, 10);
    load->size = get(buffer, 8);
    if (load->size < load->block)
        die("the export is smaller than a block");
}

static uint64_t
next_offset(struct load *load)
{
    uint64_t blocks = load->size / load->block, block;

    if (load->sequential) {
        block = load->next++ % blocks;
    } else {
        load->random ^= load->random << 13;
        load->random ^= load->random >> 7;
        load->random ^= load->random << 17;
        block = load->random % blocks;
    }
    return block * load->block;
}

static void
send_requests(struct load *load, unsigned count)
{
    struct iovec iov[2 * DEPTH_MAX];
    unsigned pieces = 0;

    for (unsigned i = 0; i < count; i++) {
        uint8_t *at = load->headers[i];

        put(&at, 0x25609513, 4);
        put(&at, load->write ? 1 : 0, 4);
        put(&at, i, 8);
        put(&at, next_offset(load), 8);
        put(&at, load->block, 4);
        if (!load->write && pieces > 0) {
            iov[0].iov_len += REQUEST; /* the headers are one array */
            continue;
        }
        iov[pieces++] = (struct iovec){ load->headers[i], REQUEST };
        if (load->write)
            iov[pieces++] = (struct iovec){ load->data, load->block };
    }
    load->in_flight += count;
    send_all(load->fd, iov, pieces);
}

struct parser {
    uint8_t header[REPLY];
    unsigned header_bytes;
    uint64_t payload_left;
};

/* Returns how many replies ended in these bytes. */
static unsigned
parse(struct load *load, struct parser *parser, const uint8_t *at, size_t bytes)
{
    unsigned ended = 0;

    while (bytes > 0) {
        size_t take;

        if (parser->payload_left > 0) {
            take = bytes < parser->payload_left ? bytes : parser->payload_left;
            parser->payload_left -= take;
            ended += parser->payload_left == 0;
            at += take;
            bytes -= take;
            continue;
        }
        take = REPLY - parser->header_bytes;
        if (take > bytes)
            take = bytes;
        memcpy(parser->header + parser->header_bytes, at, take);
        parser->header_bytes += (unsigned) take;
        at += take;
        bytes -= take;
        if (parser->header_bytes < REPLY)
            break;
        parser->header_bytes = 0;
        if (get(parser->header, 4) != 0x67446698)
            die("garbage from the server");
        if (get(parser->header + 4, 4) != 0)
            die("a request failed");
        if (load->write)
            ended++;
        else
            parser->payload_left = load->block;
    }
    return ended;
}

static void
run(struct load *load, double seconds)
{
    uint8_t *rx = malloc(RX_BYTES);
    struct parser parser = { .header_bytes = 0 };
    double start = now(), end = start + seconds, time = start, cpu;
    struct rusage usage;
    unsigned owed = load->depth;

    if (rx == NULL)
        die("out of memory");
    while (owed > 0 || load->in_flight > 0) {
        ssize_t got;
        unsigned ended;

        if (owed > 0)
            send_requests(load, owed);
        got = recv(load->fd, rx, RX_BYTES, 0);
        if (got <= 0)
            die("the server closed the connection");
        ended = parse(load, &parser, rx, (size_t) got);
        load->in_flight -= ended;
        load->done += ended;
        time = now();
        owed = time < end ? ended : 0;
    }
    getrusage(RUSAGE_SELF, &usage);
    cpu = (double) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
          (double) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    time -= start;
    printf("iops %.0f mbps %.1f requests %llu seconds %.3f cpu %.3f\n",
           (double) load->done / time,
           (double) load->done * load->block / time / 1e6,
           (unsigned long long) load->done, time, cpu);
    free(rx);
}

static void
say_goodbye(struct load *load)
{
    uint8_t request[REQUEST] = { 0 }, *at = request;

    put(&at, 0x25609513, 4);
    put(&at, 2, 4);
    send_all(load->fd, &(struct iovec){ request, REQUEST }, 1);
    close(load->fd);
}

static const struct {
    const char *name;
    bool write, sequential;
} modes[] = {
    { "randread", false, false },
    { "randwrite", true, false },
    { "seqread", false, true },
    { "seqwrite", true, true },
};

int
main(int argc, char **argv)
{
    static struct load load = { .random = 88172645463325252u };
    size_t mode = 0;

    if (argc != 7)
        die("usage: nbdload ADDRESS EXPORT randread|randwrite|seqread|"
            "seqwrite BLOCK-BYTES DEPTH SECONDS");
    while (mode < sizeof modes / sizeof modes[0] &&
           strcmp(modes[mode].name, argv[3]) != 0)
        mode++;
    if (mode == sizeof modes / sizeof modes[0])
        die("unknown mode");
    load.write = modes[mode].write;
    load.sequential = modes[mode].sequential;
    load.block = (uint32_t) strtoul(argv[4], NULL, 10);
    load.depth = (uint32_t) strtoul(argv[5], NULL, 10);
    if (load.block == 0 || load.depth == 0 || load.depth > DEPTH_MAX)
        die("the block size or the depth is out of range");
    load.data = malloc(load.block);
    if (load.data == NULL)
        die("out of memory");
    load.random ^= (uint64_t) getpid() << 20;
    /* Not all alike: a medium full of one value would be a blank one. */
    for (uint32_t i = 0; i < load.block; i++)
        load.data[i] = (uint8_t) (load.random >> 20) + (uint8_t) (i * 7);
    if (strncmp(argv[1], "unix:", 5) == 0)
        load.fd = connect_unix(argv[1] + 5);
    else if (strncmp(argv[1], "tcp:", 4) == 0)
        load.fd = connect_tcp(argv[1] + 4);
    else
        die("expected unix:PATH or tcp:HOST:PORT");
    shake_hands(&load, argv[2]);
    run(&load, strtod(argv[6], NULL));
    say_goodbye(&load);
    free(load.data);
    return 0;
}
