// The wire itself: HTTP/2 as node speaks it, gRPC written by hand.
'use strict';
const http2 = require('http2');
const net = require('net');
const { assert, connect, seen, test, until } = require('./kit');

// A message behind its five bytes; a PostRequest of short strings.
function message(bytes, flag = 0) {
    const head = Buffer.alloc(5);
    head[0] = flag;
    head.writeUInt32BE(bytes.length, 1);
    return Buffer.concat([head, bytes]);
}
function postRequest(service, body = '') {
    return message(Buffer.from(`\x0a${String.fromCharCode(service.length)}${service}` +
        (body && `\x12${String.fromCharCode(body.length)}${body}`), 'latin1'));
}

async function connected(addr, use, options) {
    const session = http2.connect(`http://${addr}`, options);
    try {
        await new Promise((resolve, reject) => {
            session.once('remoteSettings', resolve);
            session.once('error', reject);
        });
        return await use(session);
    } finally {
        session.destroy();
    }
}

// One request, to its end: {status, headers, trailers, body, rst}.
function request(session, headers, body, { read = true } = {}) {
    return new Promise((resolve, reject) => {
        const stream = session.request({ ':method': 'POST', ...headers });
        const got = { headers: {}, trailers: {}, body: [], stream };
        const done = () => resolve({ ...got, rst: stream.rstCode, body: Buffer.concat(got.body) });
        stream.on('response', (fields, flags) => {
            got.headers = fields;
            got.onlyTrailers = (flags & http2.constants.NGHTTP2_FLAG_END_STREAM) !== 0;
        });
        stream.on('trailers', (fields) => {
            got.trailers = fields;
            if (!read) done();
        });
        stream.on('close', done);
        stream.on('error', reject);
        if (read) stream.on('data', (bytes) => got.body.push(bytes));
        stream.end(body);
    });
}

const grpcHeaders = (method, more = {}) => ({
    ':path': `/chanserv.v1.Chanserv/${method}`,
    te: 'trailers',
    'content-type': 'application/grpc',
    ...more,
});

const { CHANSERV_GEN: gen, CHANSERV_WITNESS: witness } = process.env;

test('what is not gRPC is for the gateway, which has no such route, and the connection lives on', () => connected(gen, async (session) => {
    for (const type of ['text/plain', 'application/json', 'application/grp', '']) {
        const headers = { ...grpcHeaders('Post'), 'content-type': type };
        if (!type) delete headers['content-type'];
        const got = await request(session, headers, postRequest('gen'));
        assert.strictEqual(got.headers[':status'], 404, type);
        assert.strictEqual(got.headers['content-type'], 'application/json', type);
    }
    const got = await request(session, grpcHeaders('Post'), postRequest('gen', 'sources=0'));
    assert.strictEqual(got.trailers['grpc-status'] ?? got.headers['grpc-status'], '0');
}));

test('a GET is answered 405', () => connected(gen, async (session) => {
    const got = await request(session, { ...grpcHeaders('Post'), ':method': 'GET' }, undefined);
    assert.strictEqual(got.headers[':status'], 405);
}));

test('application/grpc+proto is gRPC, too', () => connected(gen, async (session) => {
    const got = await request(session,
        grpcHeaders('Post', { 'content-type': 'application/grpc+proto' }), postRequest('gen', 'sources=1'));
    assert.strictEqual(got.headers[':status'], 200);
    assert.match(got.headers['content-type'], /^application\/grpc/);
    assert.strictEqual(got.trailers['grpc-status'], '0');
    assert.ok(got.body.includes('source @0'));
}));

test('a refusal is one block of headers that ends the stream', () => connected(gen, async (session) => {
    const got = await request(session, grpcHeaders('Post'), postRequest('nobody'));
    assert.ok(got.onlyTrailers);
    assert.strictEqual(got.headers[':status'], 200);
    assert.match(got.headers['content-type'], /^application\/grpc/);
    assert.strictEqual(got.headers['grpc-status'], '5');
    assert.strictEqual(got.headers['chanserv-reason'], 'no-service');
    assert.strictEqual(got.body.length, 0);
}));

test("the server keeps a deadline by its own clock, past a reader's closed window", () =>
    connected(witness, async (session) => {
        const master = await request(session, grpcHeaders('Post'), postRequest('well', '1 1000'));
        const announcement = master.body.subarray(5);
        // Field 2, 32 bytes: the ticket; field 1 is 0 and not there.
        assert.strictEqual(announcement.readUInt16BE(0), 0x1220);
        const ticket = announcement.subarray(0, 34);
        const open = message(Buffer.concat([Buffer.from([0x0a]), ticket.subarray(1)]));
        const got = await request(session, grpcHeaders('Open', { 'grpc-timeout': '300m' }), open,
            { read: false });
        assert.strictEqual(got.trailers['grpc-status'], '4');
        assert.strictEqual(got.trailers['chanserv-reason'], 'deadline');
        got.stream.destroy();
    }));

test('a silent post is ended by its deadline, units and all', () => connected(witness, async (session) => {
    for (const timeout of ['100m', '100000u', '99999999n']) {
        const headers = grpcHeaders('Post', { 'grpc-timeout': timeout });
        const got = await request(session, headers, postRequest('quiet', '1'));
        assert.strictEqual(got.trailers['grpc-status'], '4', timeout);
        assert.strictEqual(got.trailers['chanserv-reason'], 'deadline');
    }
}));

test('a message in many pieces is one message', () => connected(gen, (session) =>
    new Promise((resolve, reject) => {
        const stream = session.request({ ':method': 'POST', ...grpcHeaders('Post') });
        const bytes = postRequest('gen', 'sources=2');
        stream.on('trailers', (trailers) => resolve(assert.strictEqual(trailers['grpc-status'], '0')));
        stream.on('error', reject);
        stream.resume();
        let at = 0;
        (function more() {
            if (at === bytes.length) stream.end();
            else stream.write(bytes.subarray(at, ++at), more);
        })();
    })));

test('a request that is cut, doubled or flagged is refused', () => connected(gen, async (session) => {
    const good = postRequest('gen', 'sources=0');
    const bad = {
        nothing: Buffer.alloc(0),
        cut: good.subarray(0, 9),
        'compressed without a coding': message(good.subarray(5), 1),
        'an unknown flag': message(good.subarray(5), 2),
    };
    for (const [name, bytes] of Object.entries(bad)) {
        const got = await request(session, grpcHeaders('Post'), bytes).catch((error) => {
            assert.strictEqual(error.code, 'ERR_HTTP2_STREAM_ERROR', name);
            return { headers: { 'grpc-status': 'reset' }, trailers: {} };
        });
        const status = got.trailers['grpc-status'] ?? got.headers['grpc-status'];
        assert.ok(status && status !== '0', `${name}: ${status}`);
    }
    const got = await request(session, grpcHeaders('Post'), good);
    assert.strictEqual(got.trailers['grpc-status'] ?? got.headers['grpc-status'], '0');
}));

test('a connection that is cut takes along all that was its own', async () => {
    const client = connect(witness);
    const before = await seen(client);
    const [host, port] = witness.split(':');
    const socket = net.connect(port, host);
    await connected(witness, async (session) => {
        session.on('error', () => {});
        for (let i = 0; i < 100; i++) {
            const stream = session.request({ ':method': 'POST', ...grpcHeaders('Post') });
            stream.on('error', () => {});
            stream.end(postRequest('quiet', '100'));
        }
        await until(client, (now) => now.posts === before.posts + 100 &&
            now.sources_waiting === before.sources_waiting + 10000);
        socket.resetAndDestroy();
    }, { createConnection: () => socket });
    await until(client, (now) => now.posts === before.posts &&
        now.sources_waiting === before.sources_waiting && now.connections === before.connections);
    client.close();
});

test('pings are answered while frames flow', () => connected(gen, async (session) => {
    const flowing = request(session, grpcHeaders('Post'), postRequest('gen', 'sources=50000'));
    for (let i = 0; i < 50; i++) {
        await new Promise((resolve, reject) => {
            session.ping((error) => (error ? reject(error) : resolve()));
        });
    }
    assert.strictEqual((await flowing).trailers['grpc-status'], '0');
}));
