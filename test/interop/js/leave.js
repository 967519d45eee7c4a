// Leaving, refusing and being late: every way in which a channel does not end well.
'use strict';
const { once } = require('events');
const {
    announced, assert, code, collect, connect, ends, frames, grpc, one, open, post, seen, test, until,
} = require('./kit');
const { genFrame } = require('./gen');

const gen = connect(process.env.CHANSERV_GEN);
const witness = connect(process.env.CHANSERV_WITNESS);
const soon = (ms) => ({ deadline: Date.now() + ms });

test('a source dropped half-way leaves the others whole, and its producer hears of it', async () => {
    const before = await seen(witness);
    const wells = await announced(witness, 'well', '3 1000');
    const calls = wells.map((source) => open(witness, source));
    for (const call of calls)
        for (let k = 0; k < 5; k++) await one(call);
    const dropped = collect(calls[1]);
    calls[1].cancel();
    ends(await dropped, 'CANCELLED');
    const told = (before['end.client-left'] ?? 0) + 1;
    const said = await until(witness, (now) => now['end.client-left'] >= told);
    assert.strictEqual(said['end.client-left'], told);
    assert.strictEqual(said.readers_left, before.readers_left + 1);
    for (const call of [calls[0], calls[2]]) {
        for (let k = 5; k < 2000; k++) {
            const { payload } = await one(call);
            assert.strictEqual(payload.subarray(0, 8).toString().split(':')[0], String(k));
        }
        const rest = collect(call);
        call.cancel();
        await rest;
    }
    const left = await until(witness, (now) => now.readers_left === before.readers_left + 3);
    assert.strictEqual(left.sources_open, before.sources_open);
});

test('a stalled reader stops its own producer and no other', async () => {
    const size = 10000;
    const wells = await announced(witness, 'well', `2 ${size}`);
    const [stalled, read] = wells.map((source) => open(witness, source));
    await one(stalled); // and no more of it
    for (let k = 0; k < 5000; k++) {
        const { payload } = await one(read);
        assert.ok(payload.toString('latin1', 0, 12).startsWith(`${k}:`), `frame ${k}`);
    }
    const asked = async () => (await seen(witness, wells[0].header)).pulled;
    const then = await asked();
    assert.ok(then * size < 1 << 20, `the stalled producer was asked for ${then} frames`);
    for (let k = 0; k < 500; k++) await one(read);
    assert.strictEqual(await asked(), then, 'it waits');
    for (let k = 1; k < 3000; k++) { // what had waited is all there, in order
        const { payload } = await one(stalled);
        assert.ok(payload.toString('latin1', 0, 12).startsWith(`${k}:`), `frame ${k}`);
    }
    for (const call of [stalled, read]) {
        const rest = collect(call);
        call.cancel();
        await rest;
    }
}, 60);

test('a post meets its deadline, and so does what nobody opened', async () => {
    const before = await seen(witness);
    const got = await collect(post(witness, 'quiet', '2', { options: soon(200) }));
    assert.strictEqual(got.status.code, code.DEADLINE_EXCEEDED);
    assert.strictEqual(got.messages.length, 2);
    await until(witness, (now) => now.sources_waiting === before.sources_waiting &&
        now.posts === before.posts);
    ends(await collect(open(witness, got.messages[0])), 'NOT_FOUND', 'expired');
});

test('a source meets its deadline, silent or stalled', async () => {
    const before = await seen(witness);
    const master = post(witness, 'quiet', '1');
    const silent = await one(master);
    const got = await collect(open(witness, silent, soon(200)));
    assert.strictEqual(got.status.code, code.DEADLINE_EXCEEDED);
    const [well] = await announced(witness, 'well', '1 1000');
    const call = open(witness, well, soon(200));
    const status = new Promise((resolve) => call.on('status', resolve));
    call.on('error', () => {});
    await one(call);
    call.on('readable', () => {}); // looked at, never read
    const late = new Promise((resolve) => setTimeout(resolve, 400));
    await late;
    call.resume();
    assert.strictEqual((await status).code, code.DEADLINE_EXCEEDED);
    await until(witness, (now) => now.sources_open === before.sources_open);
    const gone = collect(master);
    master.cancel();
    await gone;
});

test('a reader may break out of its loop and cancel later', async () => {
    const before = await seen(witness);
    const wells = await announced(witness, 'well', '1 100');
    const call = open(witness, wells[0]);
    call.on('error', () => {});
    let count = 0;
    for await (const frame of call) {
        assert.ok(frame.payload.toString().startsWith(`${count}:`));
        count += 1;
        if (count === 10) break;
    }
    call.cancel();
    await until(witness, (now) => now.sources_open === before.sources_open);
});

// In grpc-js that is no cancel: each stays open, unread, until its connection goes.
test('ten thousand readers break out of their loops and never cancel', async () => {
    const before = await seen(witness);
    for (let round = 1; round <= 10; round++) {
        const client = connect(process.env.CHANSERV_WITNESS);
        const calls = [];
        for (const well of await announced(client, 'well', '1000 1000')) {
            const call = open(client, well);
            call.on('error', () => {});
            calls.push(call);
            for await (const { payload } of call) {
                assert.ok(payload.toString('latin1', 0, 2) === '0:');
                break;
            }
        }
        const said = await seen(witness);
        assert.strictEqual(said.sources_open, before.sources_open + 1000, 'none has ended');
        const queued = said.queued_bytes - before.queued_bytes;
        assert.ok(queued < 1000 * 18 * 1024, `${queued} bytes wait in the server`);
        const [source] = await announced(witness, 'eager');
        assert.deepStrictEqual((await frames(open(witness, source))).map(String), ['first', 'second']);
        for (const call of calls) call.cancel();
        client.close();
        await until(witness, (now) => now.sources_open === before.sources_open);
    }
}, 180);

test('ten thousand cancels in a row on one connection', async () => {
    const client = connect(process.env.CHANSERV_WITNESS);
    const before = await seen(witness);
    const wells = await announced(client, 'well', '10000 1000');
    let at = 0;
    // Not sooner than the headers: grpc-js sends a call that was cancelled before it was sent
    // all the same, and then forgets to reset it.
    async function leaver(first) {
        while (at < wells.length) {
            const call = open(client, wells[at++]);
            const end = collect(call);
            await once(call, first);
            call.cancel();
            assert.strictEqual((await end).status.code, code.CANCELLED);
        }
    }
    await Promise.all(Array.from({ length: 20 }, (_, i) => leaver(i % 2 ? 'metadata' : 'data')));
    const [source] = await announced(client, 'eager');
    assert.deepStrictEqual((await frames(open(client, source))).map(String), ['first', 'second']);
    const said = await until(witness, (now) => now.sources_open === before.sources_open);
    client.close();
    assert.strictEqual(said.readers_left - before.readers_left, 10000);
}, 120);

test('an unknown method is UNIMPLEMENTED', async () => {
    const same = (bytes) => bytes;
    for (const path of ['/chanserv.v1.Chanserv/Nothing', '/chanserv.v1.chanserv/Post', '/a.B/C']) {
        const got = await collect(
            gen.makeServerStreamRequest(path, same, same, Buffer.alloc(0), {}));
        ends(got, 'UNIMPLEMENTED');
    }
});

test('an unknown service is NOT_FOUND, because of no-service', async () => {
    ends(await collect(post(gen, 'nobody')), 'NOT_FOUND', 'no-service');
});

test('bad requests say so', async () => {
    for (const name of ['', 'a b', 'ä', 'x'.repeat(256)])
        ends(await collect(post(gen, name)), 'INVALID_ARGUMENT', 'bad-request');
    ends(await collect(post(gen, 'gen', '', { from: 1 })), 'INVALID_ARGUMENT', 'bad-request');
    const channel = { session: Buffer.alloc(16), attempt: 1, number: 1 };
    ends(await collect(post(gen, 'gen', '', { channel })), 'FAILED_PRECONDITION', 'no-session');
    ends(await collect(gen.Open({ ticket: Buffer.alloc(31) })), 'INVALID_ARGUMENT', 'bad-request');
    ends(await collect(gen.Open({})), 'INVALID_ARGUMENT', 'bad-request');
    for (const bytes of ['ff', '0a05', '0a0467', '08']) {
        const got = await collect(gen.makeServerStreamRequest('/chanserv.v1.Chanserv/Post',
            (hex) => Buffer.from(hex, 'hex'), (reply) => reply, bytes, {}));
        ends(got, 'INVALID_ARGUMENT', 'bad-request');
    }
    const wrong = await collect(post(gen, 'gen', 'sources=many'));
    ends(wrong, 'INVALID_ARGUMENT'); // the service said it, so there is no reason
    assert.match(wrong.status.details, /sources/);
});

test('a ticket is used once, and of two at the same moment one wins', async () => {
    const [source] = await announced(gen, 'gen', 'sources=1&frames=1&size=10');
    const both = await Promise.all([collect(open(gen, source)), collect(open(gen, source))]);
    both.sort((a, b) => a.status.code - b.status.code);
    ends(both[0], 'OK');
    assert.deepStrictEqual(both[0].messages[0].payload, genFrame(0, 0, 10));
    ends(both[1], 'ALREADY_EXISTS', 'claimed');
    const [well] = await announced(witness, 'well', '1 10');
    const call = open(witness, well);
    await one(call);
    ends(await collect(open(witness, well)), 'ALREADY_EXISTS', 'claimed');
    await one(call); // the first reader does not notice
    const rest = collect(call);
    call.cancel();
    await rest;
});

test('a wrong ticket opens nothing', async () => {
    const [source] = await announced(gen, 'gen', 'sources=1&frames=1');
    const wrong = Buffer.from(source.ticket);
    wrong[wrong.length - 1] ^= 1;
    ends(await collect(gen.Open({ ticket: wrong })), 'NOT_FOUND', 'unknown-ticket');
    const foreign = Buffer.from(source.ticket);
    foreign[0] ^= 1;
    ends(await collect(gen.Open({ ticket: foreign })), 'FAILED_PRECONDITION', 'other-instance');
    ends(await collect(witness.Open({ ticket: source.ticket })),
        'FAILED_PRECONDITION', 'other-instance');
    ends(await collect(open(gen, source)), 'OK'); // unharmed
});

test('two nodes in turn: a ticket of the other one is refused, and is said what to do', async () => {
    const nodes = `ipv4:${process.env.CHANSERV_WITNESS},${process.env.CHANSERV_PACKED}`;
    const turns = connect(nodes, {
        'grpc.service_config': JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
    });
    const steady = connect(nodes); // pick_first, as the words have it
    let refused = 0;
    for (let k = 0; k < 100 && refused < 5; k++) { // until both are connected it is one
        const [source] = await announced(turns, 'eager');
        const got = await collect(open(turns, source));
        if (got.status.code === code.OK) continue;
        ends(got, 'FAILED_PRECONDITION', 'other-instance');
        assert.match(got.status.details, /pick_first.*chanserv-instance/);
        assert.strictEqual(got.messages.length, 0);
        refused += 1;
    }
    assert.strictEqual(refused, 5);
    for (let k = 0; k < 10; k++) {
        const [source] = await announced(steady, 'eager');
        assert.strictEqual((await frames(open(steady, source))).length, 2);
    }
    turns.close();
    steady.close();
});

test('a cancelled post takes along what nobody opened, and leaves the open source', async () => {
    const master = post(witness, 'quiet', '2');
    const silent = [await one(master), await one(master)];
    const call = open(witness, silent[0]);
    await once(call, 'metadata'); // claimed
    const end = collect(master);
    const before = await seen(witness);
    master.cancel();
    ends(await end, 'CANCELLED');
    const told = (before['end.post-cancelled'] ?? 0) + 1;
    const said = await until(witness, (now) => now['end.post-cancelled'] >= told);
    assert.strictEqual(said['end.post-cancelled'], told);
    assert.strictEqual(said.posts, before.posts - 1);
    assert.strictEqual(said.sources_open, before.sources_open);
    ends(await collect(open(witness, silent[1])), 'NOT_FOUND', 'expired');
    const rest = collect(call);
    call.cancel();
    ends(await rest, 'CANCELLED');
});

test('a client that vanishes takes all that was its own along', async () => {
    const before = await seen(witness);
    const client = connect(process.env.CHANSERV_WITNESS);
    const master = post(client, 'quiet', '3');
    const sources = [await one(master), await one(master), await one(master)];
    const calls = sources.slice(0, 2).map((source) => open(client, source));
    await Promise.all(calls.map((call) => once(call, 'metadata')));
    const gone = [master, ...calls].map(collect);
    [master, ...calls].forEach((call) => call.cancel());
    client.close();
    await Promise.all(gone);
    await until(witness, (now) => now.posts === before.posts &&
        now.sources_open === before.sources_open && now.sources_waiting === before.sources_waiting &&
        now.connections === before.connections);
});

test("a client's keepalive is answered, also while nothing is said", async () => {
    const client = connect(process.env.CHANSERV_WITNESS, {
        'grpc.keepalive_time_ms': 50,
        'grpc.keepalive_timeout_ms': 2000,
        'grpc.keepalive_permit_without_calls': 1,
    });
    const master = post(client, 'quiet', '1');
    const got = collect(master);
    setTimeout(() => master.cancel(), 1500);
    ends(await got, 'CANCELLED'); // by us: the connection has lived
    client.close();
});
