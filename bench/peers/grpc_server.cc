/* The server of grpc, in its three ways. */
#include "bench/peers/grpc.h"

using namespace grpc;

static Request parse(const Bytes &message)
{
    Request request{};
    std::vector<Slice> slices;
    std::string all;
    if (message.Dump(&slices).ok())
        for (auto &slice : slices)
            all.append(reinterpret_cast<const char *>(slice.begin()), slice.size());
    if (all.size() != sizeof request)
        DIE("a request of another length");
    memcpy(&request, all.data(), sizeof request);
    return request;
}

static Bytes answer_of(const Request &request)
{
    return filled(request.ids ? W5_SOURCES * sizeof(uint32_t) : request.size, 1);
}

/* The hint gathers small messages.  Not on a stream's first: that one would never be sent. */
static WriteOptions options(uint64_t sent)
{
    static const bool hint = !getenv("GRPC_NOHINT");
    return sent && hint ? WriteOptions().set_buffer_hint() : WriteOptions();
}

static bool is_last(const Request &request, uint32_t sent)
{
    return request.count && sent + 1 >= request.count;
}

// ---- A completion queue

struct Call {
    GenericServerContext context;
    GenericServerAsyncReaderWriter stream{&context};
    Bytes in, out;
    Request request{};
    uint32_t sent = 0;
    enum { NEW, READ, WRITE, LAST, HOLD, ECHO_READ, ECHO_WRITE } state = NEW;

    void write()
    {
        if (!is_last(request, sent)) {
            state = WRITE;
            stream.Write(out, options(sent++), this);
        } else if (request.hold) {
            state = HOLD;
            stream.Write(out, this);
        } else {
            state = LAST;
            stream.WriteAndFinish(out, WriteOptions(), Status::OK, this);
        }
    }
    /* False: it is over. */
    bool went_wrong()
    {
        if (state == LAST || state == HOLD)
            return false;
        state = LAST;
        stream.Finish(Status::OK, this);
        return true;
    }
    bool went_well()
    {
        switch (state) {
        case NEW:
            state = context.method() == ECHO ? ECHO_READ : READ;
            stream.Read(&in, this);
            break;
        case READ:
            request = parse(in);
            out = answer_of(request);
            write();
            break;
        case WRITE:
            write();
            break;
        case HOLD:
            break;
        case LAST:
            return false;
        case ECHO_READ:
            state = ECHO_WRITE;
            stream.Write(getenv("BENCH_CORRUPT") ? filled(SMALL, 1) : in, this);
            break;
        case ECHO_WRITE:
            state = ECHO_READ;
            stream.Read(&in, this);
        }
        return true;
    }
};

static void serve_queue(ServerBuilder &builder)
{
    AsyncGenericService service;
    builder.RegisterAsyncGenericService(&service);
    auto queue = builder.AddCompletionQueue();
    auto server = builder.BuildAndStart();
    auto next = [&] {
        auto *call = new Call;
        service.RequestCall(&call->context, &call->stream, queue.get(), queue.get(), call);
    };
    for (int i = 0; i < 128; i++)
        next();
    ready();
    void *tag;
    bool ok;
    while (queue->Next(&tag, &ok)) {
        auto *call = static_cast<Call *>(tag);
        if (call->state == Call::NEW) {
            if (!ok)
                break;
            next();
        }
        if (!(ok ? call->went_well() : call->went_wrong()))
            delete call;
    }
}

// ---- Blocking

struct Blocking : Service {
    static Status stream(Blocking *, ServerContext *, const Bytes *in, ServerWriter<Bytes> *out)
    {
        Request request = parse(*in);
        Bytes answer = answer_of(request);
        for (uint32_t i = 0; !is_last(request, i); i++)
            if (!out->Write(answer, options(i)))
                return Status::OK;
        out->WriteLast(answer, WriteOptions());
        return Status::OK;
    }
    static Status echo(Blocking *, ServerContext *, ServerReaderWriter<Bytes, Bytes> *both)
    {
        Bytes message;
        while (both->Read(&message) &&
               both->Write(getenv("BENCH_CORRUPT") ? filled(SMALL, 1) : message))
            ;
        return Status::OK;
    }
    Blocking()
    {
        AddMethod(new internal::RpcServiceMethod(
            STREAM, internal::RpcMethod::SERVER_STREAMING,
            new internal::ServerStreamingHandler<Blocking, Bytes, Bytes>(stream, this)));
        AddMethod(new internal::RpcServiceMethod(
            ECHO, internal::RpcMethod::BIDI_STREAMING,
            new internal::BidiStreamingHandler<Blocking, Bytes, Bytes>(echo, this)));
    }
};

// ---- Reactors

struct Reactor : ServerGenericBidiReactor {
    Bytes in, out;
    Request request{};
    uint32_t sent = 0;
    bool echo, asked = false;

    explicit Reactor(bool echo) : echo(echo)
    {
        StartRead(&in);
    }
    void write()
    {
        if (is_last(request, sent))
            StartWriteAndFinish(&out, WriteOptions(), Status::OK);
        else
            StartWrite(&out, options(sent++));
    }
    void OnReadDone(bool ok) override
    {
        if (!ok) {
            if (echo || !asked)
                Finish(Status::OK);
            return;
        }
        if (echo) {
            if (getenv("BENCH_CORRUPT"))
                in = filled(SMALL, 1);
            StartWrite(&in);
            return;
        }
        asked = true;
        request = parse(in);
        out = answer_of(request);
        write();
    }
    void OnWriteDone(bool ok) override
    {
        if (!ok)
            Finish(Status::OK);
        else if (echo)
            StartRead(&in);
        else
            write();
    }
    void OnDone() override
    {
        delete this;
    }
};

struct Reactors : CallbackGenericService {
    ServerGenericBidiReactor *CreateReactor(GenericCallbackServerContext *context) override
    {
        return new Reactor(context->method() == ECHO);
    }
};

void serve(const std::string &api, const std::string &address)
{
    ServerBuilder builder;
    auto credentials = InsecureServerCredentials();
    if (getenv("BENCH_TLS")) {
        SslServerCredentialsOptions ssl;
        ssl.pem_key_cert_pairs.push_back({tls_file("key.pem"), tls_file("cert.pem")});
        credentials = SslServerCredentials(ssl);
    }
    builder.AddListeningPort(address, credentials);
    builder.SetMaxReceiveMessageSize(-1);
    if (api == "cq") {
        serve_queue(builder);
        return;
    }
    Blocking blocking;
    Reactors reactors;
    if (api == "sync")
        builder.RegisterService(&blocking);
    else
        builder.RegisterCallbackGenericService(&reactors);
    auto server = builder.BuildAndStart();
    ready();
    server->Wait();
}
