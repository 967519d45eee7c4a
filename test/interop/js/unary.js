// Unary methods that the mux serves by itself (witness.c), beside those of chanserv.
'use strict';
const { assert, code, grpc, test } = require('./kit');

const addr = process.env.CHANSERV_WITNESS;
const client = new grpc.Client(addr, grpc.credentials.createInsecure());
const same = (bytes) => bytes;

// One call: {error, reply, headers, status}.
function ask(name, request, { metadata = new grpc.Metadata(), ...options } = {}) {
    return new Promise((resolve) => {
        const got = {};
        const done = () => 'error' in got && got.status && resolve(got);
        const call = client.makeUnaryRequest(`/interop.Calls/${name}`, same, same,
            Buffer.from(request), metadata, options, (error, reply) => {
                Object.assign(got, { error, reply });
                done();
            });
        call.on('metadata', (headers) => { got.headers = headers; });
        call.on('status', (status) => {
            got.status = status;
            done();
        });
        options.started?.(call);
    });
}

test('unary: a message there and a message back, with metadata both ways', async () => {
    const metadata = new grpc.Metadata();
    metadata.set('x-word', 'hello');
    metadata.set('x-raw-bin', Buffer.from([0, 255, 128, 44]));
    const { error, reply, headers, status } = await ask('Echo', 'message', { metadata });
    assert.ifError(error);
    assert.strictEqual(reply.toString(), 'message');
    for (const where of [headers, status.metadata]) {
        assert.deepStrictEqual(where.get('y-word'), ['hello']);
        assert.deepStrictEqual(where.get('y-raw-bin'), [Buffer.from([0, 255, 128, 44])]);
    }
    assert.strictEqual(status.code, code.OK);
    const large = 'x'.repeat(3 << 20);
    assert.strictEqual((await ask('Echo', large)).reply.toString(), large);
    assert.strictEqual((await ask('Echo', '')).reply.length, 0);
});

test('unary: a thousand at once', async () => {
    const all = await Promise.all(Array.from({ length: 1000 }, (_, i) => ask('Echo', `${i}`)));
    all.forEach(({ reply }, i) => assert.strictEqual(reply.toString(), `${i}`));
});

test('unary: an error has its code and its words', async () => {
    const { error, reply } = await ask('Fail', 'message');
    assert.strictEqual(error.code, code.FAILED_PRECONDITION);
    assert.strictEqual(error.details, 'Größe: 5 % ✓');
    assert.strictEqual(reply, undefined);
});

test('unary: a deadline passes, a call is given up, and the late answer harms nobody', async () => {
    const late = ask('Slow', '', { deadline: Date.now() + 200 });
    assert.strictEqual((await late).error.code, code.DEADLINE_EXCEEDED);
    const given = ask('Slow', '', { started: (call) => setTimeout(() => call.cancel(), 200) });
    assert.strictEqual((await given).error.code, code.CANCELLED);
    const waits = ask('Slow', '');
    // The server learns of a cancel some time after it was sent: ask until it has.
    const counts = [0, 0];
    while (counts[0] < 3) {
        const { reply } = await ask('Late', '');
        reply.toString().split(' ').forEach((n, i) => { counts[i] += Number(n); });
    }
    assert.deepStrictEqual(counts, [3, 2]);
    assert.strictEqual((await waits).reply.toString(), 'late');
});

test('unary: two messages are one too many, and none too few', async () => {
    for (const messages of [[], ['one', 'two']]) {
        const status = await new Promise((resolve) => {
            const call = client.makeClientStreamRequest('/interop.Calls/Echo', same, same,
                () => {});
            call.on('status', resolve);
            messages.forEach((message) => call.write(Buffer.from(message)));
            call.end();
        });
        assert.strictEqual(status.code, code.UNIMPLEMENTED);
    }
});
