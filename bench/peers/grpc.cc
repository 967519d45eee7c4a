/* The clients of grpc: the queue for everything, blocking and reactors for w1, w2 and w7. */
#include "bench/peers/grpc.h"

using namespace grpc;

static std::string peer, wl, arg;
static std::shared_ptr<Channel> channel;
static meter m;
static lat latency;

static Bytes asked(const Request &request)
{
    return bytes(&request, sizeof request);
}

static internal::RpcMethod method(const char *name, internal::RpcMethod::RpcType type)
{
    return internal::RpcMethod(name, type, channel);
}

/* w1, w2: a message came.  True when it is enough. */
static bool count(const Bytes &message, uint64_t n, uint32_t size)
{
    look_now_and_then(message, n - 1);
    return (n & (size > 4096 ? 0 : 63)) == 0 && meter_tick(&m, n);
}

// ---- Blocking

static void blocking_read(const Request &request)
{
    ClientContext context;
    Bytes in;
    auto stream = method(STREAM, internal::RpcMethod::SERVER_STREAMING);
    std::unique_ptr<ClientReader<Bytes>> reader(internal::ClientReaderFactory<Bytes>::Create(
        channel.get(), stream, &context, asked(request)));
    for (uint64_t n = 1;; n++) {
        if (!reader->Read(&in))
            DIE("the server left");
        if (count(in, n, request.size))
            return;
    }
}

static void blocking_ping()
{
    ClientContext context;
    Bytes out = filled(SMALL, 0), in;
    uint64_t n = 0;
    auto echo = method(ECHO, internal::RpcMethod::BIDI_STREAMING);
    std::unique_ptr<ClientReaderWriter<Bytes, Bytes>> both(
        internal::ClientReaderWriterFactory<Bytes, Bytes>::Create(channel.get(), echo, &context));
    do {
        uint64_t t = now_ns();
        if (!both->Write(out) || !both->Read(&in))
            DIE("the server left");
        lat_add(&latency, now_ns() - t);
        look_now_and_then(in, n);
    } while (!meter_tick(&m, ++n));
    emit_ping(peer.c_str(), &m, &latency);
    _exit(0);
}

// ---- Reactors

struct Reader : ClientBidiReactor<Bytes, Bytes> {
    Bytes in, out;
    uint64_t n = 0;
    uint32_t size = 0;
    void OnReadDone(bool ok) override
    {
        if (!ok)
            DIE("the server left");
        if (count(in, ++n, size)) {
            emit_stream(peer.c_str(), wl.c_str(), arg.c_str(), size, &m);
            _exit(0);
        }
        StartRead(&in);
    }
};

static void reactor_read(const Request &request)
{
    Reader reader;
    GenericStub stub(channel);
    ClientContext context;
    reader.size = request.size;
    reader.out = asked(request);
    stub.PrepareBidiStreamingCall(&context, STREAM, StubOptions(), &reader);
    reader.StartWriteLast(&reader.out, WriteOptions());
    reader.StartRead(&reader.in);
    reader.StartCall();
    for (;;)
        pause();
}

// ---- The queue

static CompletionQueue queue;

static void *queue_next(bool *ok)
{
    void *tag;
    if (!queue.Next(&tag, ok))
        DIE("the queue ended");
    return tag;
}

static void queue_ping()
{
    GenericStub stub(channel);
    ClientContext context;
    Bytes out = filled(SMALL, 0), in;
    uint64_t n = 0;
    bool ok;
    auto call = stub.PrepareCall(&context, ECHO, &queue);
    call->StartCall(&context);
    queue_next(&ok);
    do {
        uint64_t t = now_ns();
        call->Write(out, &context);
        call->Read(&in, &in);
        for (int i = 0; i < 2; i++) {
            queue_next(&ok);
            if (!ok)
                DIE("the server left");
        }
        lat_add(&latency, now_ns() - t);
        look_now_and_then(in, n);
    } while (!meter_tick(&m, ++n));
    emit_ping(peer.c_str(), &m, &latency);
    _exit(0);
}

struct Call {
    ClientContext context;
    std::unique_ptr<ClientAsyncReader<Bytes>> reader;
    Bytes in;
    Status status;
    uint64_t born = now_ns(), got = 0;
    enum { START, READ, FINISH } state = START;
};

static void open(const Request &request)
{
    static auto stream = method(STREAM, internal::RpcMethod::SERVER_STREAMING);
    auto *call = new Call;
    call->reader.reset(internal::ClientAsyncReaderFactory<Bytes>::Create(
        channel.get(), &queue, stream, &call->context, asked(request), true, call));
}

/* What the calls of a workload are, and how far it is. */
static struct {
    Request request;
    uint64_t pending, frames, done;
    int subscribed; // w5: sources that are open, of the announcement before
} w;

/* A message came.  True when it is enough. */
static bool took(Call *call)
{
    look_now_and_then(call->in, call->got++);
    w.frames++;
    if (wl == "w1" || wl == "w2")
        return count(call->in, w.frames, w.request.size);
    if (wl != "w6")
        return false;
    if (w.pending > 0) {
        w.pending--;
        open(w.request);
    }
    return ++w.done == strtoull(arg.c_str(), nullptr, 10);
}

/* A call ended well.  True when it is enough. */
static bool ended(Call *call)
{
    if (!call->status.ok())
        DIE("a call: %s", call->status.error_message().c_str());
    if (wl == "w3")
        return ++w.done == W3_STREAMS;
    if (wl == "w4") {
        if (call->got != 2)
            DIE("a stream ended early");
        lat_add(&latency, now_ns() - call->born);
        open(w.request);
        return (++w.done & 15) == 0 && meter_tick(&m, w.done);
    }
    if (w.subscribed == 0) {
        w.subscribed = W5_SOURCES;
        for (int i = 0; i < W5_SOURCES; i++)
            open(Request{SMALL, W5_FRAMES, 0, 0});
        return false;
    }
    if (call->got != W5_FRAMES)
        DIE("a source ended early");
    w.done++;
    if (--w.subscribed > 0)
        return false;
    open(w.request);
    return meter_tick(&m, w.done);
}

/* True when it is enough. */
static bool step()
{
    bool ok, stop = false;
    auto *call = static_cast<Call *>(queue_next(&ok));
    if (call->state == Call::FINISH) {
        stop = ended(call);
        delete call;
    } else if (call->state == Call::READ && !ok) {
        call->state = Call::FINISH;
        call->reader->Finish(&call->status, call);
    } else {
        if (call->state == Call::READ)
            stop = took(call);
        call->state = Call::READ;
        if (wl != "w6" || call->got == 0)
            call->reader->Read(&call->in, call);
    }
    return stop;
}

/* A call of two messages, to its end. */
static void warm()
{
    bool ok;
    open(Request{SMALL, 1, 0, 0});
    auto *call = static_cast<Call *>(queue_next(&ok));
    for (; ok; queue_next(&ok))
        call->reader->Read(&call->in, call);
    call->reader->Finish(&call->status, call);
    queue_next(&ok);
    delete call;
    usleep(200000);
}

static void emit_queue(long server_kb, long client_kb)
{
    const char *p = peer.c_str(), *a = arg.c_str();
    char extra[160] = "";
    if (wl == "w6") {
        usleep(300000);
        emit_idle(p, a, atol(a), server_kb, client_kb, &m);
    } else if (wl == "w1" || wl == "w2")
        emit_stream(p, wl.c_str(), a, w.request.size, &m);
    else if (wl == "w4")
        emit(p, "w4", a, meter_rate(&m), "streams/s", &m, lat_json(&latency, extra, sizeof extra));
    else
        emit(p, wl.c_str(), a, meter_rate(&m), wl == "w3" ? "msgs/s" : "sources/s", &m, "");
}

static void queue_streams()
{
    uint64_t n = strtoull(arg.c_str(), nullptr, 10);
    long server_kb = 0, client_kb = 0;
    w.pending = wl == "w6" || wl == "w4" ? n : wl == "w3" ? (uint64_t)W3_STREAMS : 1;
    w.request = wl == "w3"   ? Request{SMALL, W3_MSGS, 0, 0}
                : wl == "w4" ? Request{SMALL, 2, 0, 0}
                : wl == "w5" ? Request{0, 1, 0, 1}
                : wl == "w6" ? Request{SMALL, 1, 1, 0}
                             : Request{(uint32_t)n, 0, 0, 0};
    if (wl == "w6") {
        warm();
        server_kb = mem_srv("VmRSS:");
        client_kb = mem_kb(getpid(), "VmRSS:");
    }
    if (wl == "w3" || wl == "w6")
        meter_start(&m);
    for (int live = 0; w.pending > 0 && live < 1000; w.pending--, live++)
        open(w.request);
    while (!step())
        ;
    if (wl == "w3" || wl == "w6")
        meter_stop(&m, wl == "w3" ? w.frames : w.done);
    emit_queue(server_kb, client_kb);
    _exit(0);
}

static void connect(const std::string &address)
{
    ChannelArguments arguments;
    auto credentials = InsecureChannelCredentials();
    arguments.SetMaxReceiveMessageSize(-1);
    if (getenv("BENCH_TLS")) {
        SslCredentialsOptions ssl;
        ssl.pem_root_certs = tls_file("cert.pem");
        credentials = SslCredentials(ssl);
    }
    channel = CreateCustomChannel(address, credentials, arguments);
    if (!channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(5)))
        DIE("no connection");
}

int main(int argc, char **argv)
{
    if (argc < 5)
        DIE("usage: grpc server|client cq|sync|cb PORT WORKLOAD [ARG]");
    std::string role = argv[1], api = argv[2], address = std::string("127.0.0.1:") + argv[3];
    wl = argv[4];
    arg = argc > 5 ? argv[5] : "";
    bench_bound();
    if (role == "server") {
        serve(api, address);
        return 0;
    }
    peer = "grpc-" + api;
    connect(address);
    meter_init(&m);
    Request endless{(uint32_t)atol(arg.c_str()), 0, 0, 0};
    bool reads = wl == "w1" || wl == "w2";
    if (wl == "w7" && api == "sync")
        blocking_ping();
    if (wl == "w7")
        queue_ping();
    if (reads && api == "cb")
        reactor_read(endless);
    if (!reads || api != "sync")
        queue_streams();
    blocking_read(endless);
    emit_stream(peer.c_str(), wl.c_str(), arg.c_str(), endless.size, &m);
    _exit(0);
}
