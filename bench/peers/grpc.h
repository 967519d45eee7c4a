/* grpc -- gRPC C++ with messages of bytes, so that no protobuf is in the figures.
 *
 * cq: one thread on a completion queue each side; sync: blocking streams and gRPC's own threads; cb: its
 * reactors.  With BENCH_TLS, by the same files as ours.  GRPC_NOHINT: each message is written at once. */
#ifndef BENCH_PEERS_GRPC_H
#define BENCH_PEERS_GRPC_H

#include "bench/peers/tags.h"

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/method_handler.h>
#include <grpcpp/impl/codegen/rpc_service_method.h>
#include <grpcpp/support/async_stream.h>
#include <grpcpp/support/sync_stream.h>

#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

using Bytes = grpc::ByteBuffer;

inline const char *const STREAM = "/b/stream";
inline const char *const ECHO = "/b/echo";

struct Request {
    uint32_t size;
    uint32_t count; // of messages; 0: until it is cancelled
    uint32_t hold;  // then the stream stays open
    uint32_t ids;   // one message that stands for the announcement of w5's sources
};

inline Bytes bytes(const void *p, size_t n)
{
    grpc::Slice slice(p, n);
    return Bytes(&slice, 1);
}

inline Bytes filled(size_t n, int server)
{
    return bytes(std::string(n, spot_byte(server)).data(), n);
}

inline void look(const Bytes &message)
{
    std::vector<grpc::Slice> slices;
    if (message.Length() == 0 || !message.Dump(&slices).ok())
        DIE("a message came empty");
    spot_look(slices.back().begin(), slices.back().size());
}

/* It costs, so: of a stream the first, and each 1,024th. */
inline void look_now_and_then(const Bytes &message, uint64_t n)
{
    if ((n & 1023) == 0)
        look(message);
}

inline std::string tls_file(const char *name)
{
    std::ifstream in(std::string(getenv("BENCH_TLS")) + "/" + name);
    std::stringstream all;
    all << in.rdbuf();
    return all.str();
}

void serve(const std::string &api, const std::string &address);

#endif
