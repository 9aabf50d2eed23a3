#pragma once
#include <sys/prctl.h>
#include <uv.h>

// Names the calling thread for `ps -L` and debuggers. prctl is variadic, which Swift cannot call.
static inline void meshd_name_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }

#include <malloc.h>

/// Lets the allocator keep so many bytes that were freed at the end of its memory, and take blocks
/// below `large` bytes from it.
static inline void meshd_keep_freed_memory(int bytes, int large) {
    mallopt(M_TRIM_THRESHOLD, bytes);
    mallopt(M_MMAP_THRESHOLD, large);
}

#include <sys/eventfd.h>

/// A non-blocking event descriptor; -1 with errno when the system has none left.
static inline int meshd_event_descriptor(void) { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }

#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/filter.h>

/// The rate at which a TCP stream has lately moved bytes to its peer, bytes per second (Linux,
/// tcp_rate.c); 0 when that was for want of bytes to send, or is not known.
static inline double meshd_delivery_rate(int descriptor) {
    // The kernel's struct tcp_info (linux/tcp.h, since 4.9). The C library's, which the headers of
    // libuv define under the same name, ends before the rate.
    struct {
        uint8_t states[7];
        uint8_t is_app_limited : 1;
        uint32_t counts[24];
        uint64_t rates[4];
        uint32_t segments[6];
        uint64_t delivery_rate;
    } information;
    _Static_assert(sizeof information == 168, "the layout of struct tcp_info");
    socklen_t size = sizeof information;
    memset(&information, 0, sizeof information);
    if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &information, &size) != 0) return 0;
    if (information.is_app_limited) return 0;
    return (double)information.delivery_rate;
}

#include <linux/errqueue.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <string.h>
#include <sys/socket.h>

/// Has the system keep what the network says about datagrams of a socket that is not connected
/// (ip(7), IP_RECVERR): 0, or -1 with errno. What it keeps takes room of the receive buffer until
/// it is read.
static inline int meshd_keep_network_errors(int descriptor, int is_ipv6) {
    int on = 1;
    return is_ipv6 ? setsockopt(descriptor, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on)
                   : setsockopt(descriptor, IPPROTO_IP, IP_RECVERR, &on, sizeof on);
}

/// Has the system drop the datagrams for a UDP socket whose first byte, without its lower four bits,
/// is another one: 0, or -1 with errno. They cost this process nothing then.
static inline int meshd_drop_foreign_datagrams(int descriptor, unsigned char mark) {
    // A filter sees the datagram with its eight bytes of UDP header; one without a ninth is dropped.
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 8),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xf0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, mark, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_fprog program = {sizeof code / sizeof code[0], code};
    return setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

/// A sender of datagrams: a word of what they begin with, and the last word of its address.
typedef struct {
    uint32_t word;
    uint32_t host;
} meshd_known_sender;

/// The most known senders that a filter has room for: five of its 4,096 instructions each.
#define MESHD_KNOWN_SENDERS_MAX 800
/// The most loud ones: one instruction each, over which the filter jumps 255 at most.
#define MESHD_LOUD_SENDERS_MAX 64

/// How datagrams are told apart that are of no known sender.
typedef struct {
    /// The upper half of the first byte of all that are let in.
    unsigned char mark;
    unsigned char is_ipv6;
    /// Where the word is that names the sender.
    uint32_t offset;
    /// One less than the power of two of which one passes, of loud hosts and of others.
    uint32_t others_mask;
    uint32_t loud_mask;
} meshd_stranger_filter;

/// Adds the end of a filter: one datagram in `mask` + 1 passes, by chance.
static inline unsigned short meshd_pass_some(struct sock_filter *code, unsigned short end,
                                             uint32_t mask) {
    code[end++] = (struct sock_filter)BPF_STMT(
        BPF_LD | BPF_W | BPF_ABS, (unsigned)(SKF_AD_OFF + SKF_AD_RANDOM));
    code[end++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, mask);
    code[end++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1);
    code[end++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0xffffffff);
    code[end++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
    return end;
}

/// As `meshd_drop_foreign_datagrams`, and of datagrams that are of no known sender, by the word at
/// `offset` and the address, only some pass, of loud hosts fewer than of others.
static inline int meshd_sample_strangers(int descriptor, const meshd_stranger_filter *filter,
                                         const meshd_known_sender *known, size_t count,
                                         const uint32_t *loud, size_t loud_count) {
    struct sock_filter code[5 * MESHD_KNOWN_SENDERS_MAX + MESHD_LOUD_SENDERS_MAX + 16];
    const struct sock_filter word = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 8 + filter->offset);
    const struct sock_filter host =
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)SKF_NET_OFF + (filter->is_ipv6 ? 20 : 12));
    const struct sock_filter pass = BPF_STMT(BPF_RET | BPF_K, 0xffffffff);
    const struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
    const unsigned short others = 5;
    unsigned short end = 0;
    code[end++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 8);
    code[end++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xf0);
    code[end++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, filter->mark, 1, 0);
    code[end++] = drop;
    code[end++] = word;
    for (size_t i = 0; i < count && i < MESHD_KNOWN_SENDERS_MAX; i++) {
        code[end++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, known[i].word, 0, 4);
        code[end++] = host;
        code[end++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, known[i].host, 0, 1);
        code[end++] = pass;
        code[end++] = word;
    }
    code[end++] = host;
    if (loud_count > MESHD_LOUD_SENDERS_MAX) loud_count = MESHD_LOUD_SENDERS_MAX;
    for (size_t i = 0; i < loud_count; i++) {
        // Over the rest of them and the end for others.
        unsigned char over = (unsigned char)(loud_count - 1 - i + others);
        code[end++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, loud[i], over, 0);
    }
    end = meshd_pass_some(code, end, filter->others_mask);
    end = meshd_pass_some(code, end, filter->loud_mask);
    struct sock_fprog program = {end, code};
    return setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

/// Takes the oldest such word off the socket's queue: 1 and the receiver's address when it is
/// that no process has the port (ICMP port unreachable), 0 when it is another, -1 when there is
/// none. The macros that walk control messages cannot be called from Swift.
static inline int meshd_next_network_error(int descriptor, struct sockaddr_storage *receiver) {
    union { char bytes[512]; struct cmsghdr align; } control;
    struct msghdr message;
    memset(&message, 0, sizeof message);
    message.msg_name = receiver;
    message.msg_namelen = sizeof *receiver;
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    // Without a buffer: the datagram that comes back is not needed.
    if (recvmsg(descriptor, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) return -1;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
        struct sock_extended_err error;
        if (part->cmsg_len < CMSG_LEN(sizeof error)) continue;
        memcpy(&error, CMSG_DATA(part), sizeof error);
        if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_RECVERR
            && error.ee_origin == SO_EE_ORIGIN_ICMP && error.ee_type == ICMP_DEST_UNREACH
            && error.ee_code == ICMP_PORT_UNREACH) return 1;
        if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_RECVERR
            && error.ee_origin == SO_EE_ORIGIN_ICMP6 && error.ee_type == ICMP6_DST_UNREACH
            && error.ee_code == ICMP6_DST_UNREACH_NOPORT) return 1;
    }
    return 0;
}
