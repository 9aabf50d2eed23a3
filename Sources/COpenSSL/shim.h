// OpenSSL 3, with functions in the place of macros, which Swift does not see, and a BIO over
// memory that belongs to the caller: OpenSSL's own copies once more and grows as it likes.
#pragma once
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <string.h>

/// Where a TLS session takes its ciphertext from and puts it.
typedef struct {
    const unsigned char *input;
    size_t input_count;
    unsigned char *output;
    size_t output_count;
    size_t output_capacity;
} meshd_tls_pipe;

static inline int meshd_pipe_read(BIO *bio, char *to, size_t count, size_t *taken) {
    meshd_tls_pipe *pipe = (meshd_tls_pipe *)BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (pipe == NULL || pipe->input_count == 0) {
        BIO_set_retry_read(bio);
        *taken = 0;
        return 0;
    }
    size_t some = count < pipe->input_count ? count : pipe->input_count;
    memcpy(to, pipe->input, some);
    pipe->input += some;
    pipe->input_count -= some;
    *taken = some;
    return 1;
}

static inline int meshd_pipe_write(BIO *bio, const char *from, size_t count, size_t *taken) {
    meshd_tls_pipe *pipe = (meshd_tls_pipe *)BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    size_t room = pipe == NULL ? 0 : pipe->output_capacity - pipe->output_count;
    if (room == 0) {
        BIO_set_retry_write(bio);
        *taken = 0;
        return 0;
    }
    size_t some = count < room ? count : room;
    memcpy(pipe->output + pipe->output_count, from, some);
    pipe->output_count += some;
    *taken = some;
    return 1;
}

static inline long meshd_pipe_control(BIO *bio, int command, long number, void *pointer) {
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static inline int meshd_pipe_create(BIO *bio) {
    BIO_set_init(bio, 1);
    return 1;
}

/// The kind of BIO that reads and writes a `meshd_tls_pipe`; NULL without memory.
static inline BIO_METHOD *meshd_pipe_method(void) {
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "meshd");
    if (method == NULL) return NULL;
    BIO_meth_set_read_ex(method, meshd_pipe_read);
    BIO_meth_set_write_ex(method, meshd_pipe_write);
    BIO_meth_set_ctrl(method, meshd_pipe_control);
    BIO_meth_set_create(method, meshd_pipe_create);
    return method;
}

/// TLS 1.3 only, X25519 only, two suites with the hash that an external PSK needs, no tickets.
static inline int meshd_restrict(SSL_CTX *context, const char *suites) {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
                                  | SSL_MODE_RELEASE_BUFFERS);
    return SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1
        && SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1
        && SSL_CTX_set1_groups_list(context, "X25519") == 1
        && SSL_CTX_set_num_tickets(context, 0) == 1
        && SSL_CTX_set_ciphersuites(context, suites) == 1;
}

static inline int meshd_error_reason(unsigned long code) { return ERR_GET_REASON(code); }
static inline int meshd_error_library(unsigned long code) { return ERR_GET_LIB(code); }

static inline int meshd_set_nonce_length(EVP_CIPHER_CTX *context, int count) {
    return EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, count, NULL);
}
static inline int meshd_get_tag(EVP_CIPHER_CTX *context, void *tag, int count) {
    return EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, count, tag);
}
static inline int meshd_set_tag(EVP_CIPHER_CTX *context, const void *tag, int count) {
    return EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, count, (void *)tag);
}
