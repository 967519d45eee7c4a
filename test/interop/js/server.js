// Servers of stock @grpc/grpc-js, and one of node's own HTTP/2, for calls.c.  Prints
//   listening PLAIN,NARROW,LEAVING,REFUSING     (HOST:PORT each)
// PLAIN      all that a gRPC server does
// NARROW     the same, ten streams a connection
// LEAVING    a call of Leave makes it shut down in good order; a fresh one takes the port over
// REFUSING   refuses the first two streams of each path, then answers
'use strict';
const http2 = require('http2');
const grpc = require('@grpc/grpc-js');

const same = (bytes) => bytes;
const method = (path, requestStream, responseStream) => ({
    path: `/interop.Calls/${path}`, requestStream, responseStream,
    requestSerialize: same, requestDeserialize: same,
    responseSerialize: same, responseDeserialize: same,
});
const service = {
    Echo: method('Echo', false, false),
    Fail: method('Fail', false, false),
    Pace: method('Pace', false, false),
    Slow: method('Slow', false, false),
    Seen: method('Seen', false, false),
    Leave: method('Leave', false, false),
    Count: method('Count', false, true),
    Sum: method('Sum', true, false),
    Chat: method('Chat', true, true),
};

// What came under "x-" goes back under "y-": as headers and as trailers.
function reflected(metadata) {
    const back = new grpc.Metadata();
    for (const name of ['word', 'raw-bin'])
        for (const value of metadata.get(`x-${name}`)) back.add(`y-${name}`, value);
    return back;
}

// `state` is one for all servers that follow each other on a port.
function handlers(state, leave) {
    return {
        Echo(call, done) {
            call.sendMetadata(reflected(call.metadata));
            done(null, call.request, reflected(call.metadata));
        },
        Fail(call, done) {
            const metadata = reflected(call.metadata);
            done({ code: grpc.status.FAILED_PRECONDITION, details: 'Größe: 5 % ✓', metadata });
        },
        // Takes 20 ms, and counts who ran: a call that never ran may be made again, no other.
        Pace(call, done) {
            const id = call.request.toString();
            state.runs.set(id, (state.runs.get(id) ?? 0) + 1);
            state.running += 1;
            state.most = Math.max(state.most, state.running);
            setTimeout(() => {
                state.running -= 1;
                done(null, call.request);
            }, 20);
        },
        Slow(call) {
            state.left = call.getDeadline() - Date.now();
            call.on('cancelled', () => { state.cancelled += 1; });
        },
        Seen(call, done) {
            const runs = [...state.runs.values()];
            done(null, Buffer.from(`calls ${runs.length} most ${state.most} ` +
                `twice ${runs.filter((n) => n > 1).length} cancelled ${state.cancelled} ` +
                `left ${Math.round(state.left)} peers ${state.peers.size}`));
        },
        Leave(call, done) {
            done(null, Buffer.alloc(0));
            leave();
        },
        Count(call) {
            const [count, size] = call.request.toString().split(' ').map(Number);
            let at = 0;
            const more = () => {
                while (at < count)
                    if (!call.write(Buffer.from(`${at++}:`.padEnd(size, '.')))) return;
                call.end(reflected(call.metadata));
            };
            call.on('drain', more);
            more();
        },
        Sum(call, done) {
            let count = 0, bytes = 0;
            call.on('data', (message) => { count += 1; bytes += message.length; });
            call.on('end', () => done(null, Buffer.from(`${count} ${bytes}`), reflected(call.metadata)));
        },
        Chat(call) {
            call.sendMetadata(reflected(call.metadata));
            call.on('data', (message) => {
                if (message.toString() === 'fail')
                    call.emit('error', { code: grpc.status.ABORTED, details: 'as you wish' });
                else
                    call.write(message);
            });
            call.on('end', () => call.end(reflected(call.metadata)));
        },
    };
}

const fresh = () => ({
    runs: new Map(), running: 0, most: 0, cancelled: 0, left: 0, peers: new Set(),
});

async function listen(options, state, leave, at = '127.0.0.1:0') {
    const server = new grpc.Server(options);
    const own = handlers(state, leave && (() => leave(server)));
    for (const [name, fn] of Object.entries(own))
        own[name] = (call, done) => {
            state.peers.add(call.getPeer());
            return fn(call, done);
        };
    server.addService(service, own);
    const port = await new Promise((resolve, reject) => server.bindAsync(at,
        grpc.ServerCredentials.createInsecure(), (error, n) => (error ? reject(error) : resolve(n))));
    return `127.0.0.1:${port}`;
}

// Node's GOAWAY names the last stream of when it was asked for, and what arrives until it is sent
// runs all the same: a client that believes it would run those twice.  So a session leaves in the
// two steps of RFC 9113, 6.8: it tells of it, and closes when all who heard it have long stopped.
function closeLate(server) {
    server.on('session', (session) => {
        const close = session.close.bind(session);
        session.close = (done) => {
            session.goaway(0, 2 ** 31 - 1);
            setTimeout(close, 500, done);
        };
    });
    return server;
}

async function leaving() {
    const state = fresh();
    const leave = async (server) => {
        server.tryShutdown(() => {}); // GOAWAY; what runs, runs to its end
        await listen({}, state, leave, addr);
    };
    const addr = await listen({}, state, leave);
    return addr;
}

// gRPC by hand, so that a stream can be refused.
function refusing() {
    const seen = new Map();
    const server = http2.createServer();
    server.on('stream', (stream, headers) => {
        const times = (seen.get(headers[':path']) ?? 0) + 1;
        seen.set(headers[':path'], times);
        stream.on('error', () => {});
        if (times <= 2 || headers[':path'].endsWith('/Never')) {
            stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
            return;
        }
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' },
            { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
        stream.resume();
        stream.on('end', () => stream.end(Buffer.from([0, 0, 0, 0, 1, 0x30 + times])));
    });
    return new Promise((resolve) => {
        server.listen(0, '127.0.0.1', () => resolve(`127.0.0.1:${server.address().port}`));
    });
}

async function main() {
    const { createServer } = http2;
    http2.createServer = (...options) => closeLate(createServer(...options)); // grpc-js makes its own
    const addrs = await Promise.all([
        listen({}, fresh()), listen({ 'grpc.max_concurrent_streams': 10 }, fresh()),
        leaving(), refusing(),
    ]);
    process.on('SIGTERM', () => process.exit(0));
    console.log(`listening ${addrs.join(',')}`);
}

main();
