// The rules of sessions (docs/WIRE), by a client that knows nothing but the .proto file.
'use strict';
const { randomBytes } = require('crypto');
const { once } = require('events');
const net = require('net');
const { announced, assert, code, collect, connect, ends, one, seen, test, until } = require('./kit');

const witness = connect(process.env.CHANSERV_WITNESS);

// A Session call that stands: what comes behind the first message is in `acks`.
async function attach(client, id, attempt) {
    const call = client.Session(), end = collect(call), standing = { call, end, acks: [] };
    call.write({ session: id, attempt });
    call.on('data', ({ acks = [] }) => standing.acks.push(...acks));
    [standing.first] = await once(call, 'data').catch(() => []); // it ended before
    return standing;
}

async function session(client = witness) {
    const id = randomBytes(16), standing = await attach(client, id, 1);
    let numbers = 0;
    const channel = (attempt = 1, number = (numbers += 1)) => ({ session: id, attempt, number });
    return { ...standing, id, channel, say: (...acks) => standing.call.write({ acks }) };
}

async function close({ call, end }) {
    call.end();
    ends(await end, 'OK');
}

const post = (service, body, channel, from = 0, client = witness) =>
    client.Post({ service, body: Buffer.from(body), channel, from });
const open = ({ ticket }, channel, from = 0, client = witness) => client.Open({ ticket, channel, from });

async function lost(call) { // the stream, not the channel
    const end = collect(call);
    call.cancel();
    assert.strictEqual((await end).status.code, code.CANCELLED);
}

// Numbers of a well's frames, from there on.
async function counts(call, from, to) {
    for (let k = from; k < to; k += 1) {
        const { payload } = await one(call);
        assert.strictEqual(String(payload).split(':')[0], String(k));
    }
}

// The connections to a server, which can be cut.
async function wire(addr) {
    const sockets = new Set();
    const [host, port] = addr.split(/:(?=\d+$)/);
    const server = net.createServer((near) => {
        const far = net.connect({ host, port });
        for (const [one, other] of [[near, far], [far, near]]) {
            sockets.add(one);
            one.on('error', () => {}).on('close', () => { sockets.delete(one); other.destroy(); });
            one.pipe(other);
        }
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return {
        addr: `127.0.0.1:${server.address().port}`,
        cut: () => sockets.forEach((socket) => socket.resetAndDestroy()),
        close: () => server.close(),
    };
}

test('a session is made once, and taken up by the highest attempt', async () => {
    const id = randomBytes(16), first = await attach(witness, id, 1);
    assert.strictEqual(first.first.instance.length, 8);
    assert.strictEqual(first.first.lingerMs, 30000);
    ends(await (await attach(witness, id, 1)).end, 'ALREADY_EXISTS', 'session-exists');
    const third = await attach(witness, id, 3);
    assert.ok(third.first.instance.equals(first.first.instance));
    ends(await first.end, 'ABORTED', 'superseded');
    ends(await (await attach(witness, id, 2)).end, 'ABORTED', 'superseded');
    ends(await (await attach(witness, id, 3)).end, 'ABORTED', 'superseded');
    await close(third);
    ends(await (await attach(witness, id, 4)).end, 'NOT_FOUND', 'lost');
    ends(await (await attach(witness, id.subarray(1), 1)).end, 'INVALID_ARGUMENT', 'bad-request');
    ends(await (await attach(witness, randomBytes(16), 0)).end, 'INVALID_ARGUMENT', 'bad-request');
});

test('a channel is of an attempt, and its number is used once', async () => {
    const it = await session();
    const [number] = [it.channel().number];
    ends(await collect(post('eager', '', it.channel(2, number))), 'FAILED_PRECONDITION', 'no-session');
    ends(await collect(post('eager', '', it.channel(0, number))), 'INVALID_ARGUMENT', 'bad-request');
    ends(await collect(post('eager', '', it.channel(1, 0))), 'INVALID_ARGUMENT', 'bad-request');
    ends(await collect(post('eager', '', it.channel(1, number), 1)), 'DATA_LOSS', 'lost');
    const got = await collect(post('eager', '', it.channel(1, number)));
    ends(got, 'OK');
    assert.strictEqual(got.messages.length, 1);
    it.say({ number, next: 1, done: true });
    const next = it.channel();
    ends(await collect(post('eager', '', next)), 'OK');
    const second = await attach(witness, it.id, 2);
    ends(await collect(post('eager', '', next)), 'ABORTED', 'superseded');
    ends(await collect(post('eager', '', it.channel(2))), 'OK');
    await close(second);
});

test('a stream that is lost is no end: the channel goes on behind what has come', async () => {
    const it = await session(), before = await seen(witness);
    const [well] = await announced(witness, 'well', '1 1000'); // a ticket of no session
    const channel = it.channel();
    let call = open(well, channel);
    await counts(call, 0, 10);
    await lost(call);
    call = open(well, channel, 5); // not acknowledged yet
    await counts(call, 5, 500);
    it.say({ number: channel.number, next: 400 });
    await lost(call);
    for (let from = 400; from < 2000; from += 400) {
        call = open(well, channel, from);
        await counts(call, from, from + 400);
        it.say({ number: channel.number, next: from + 400 });
        await lost(call);
    }
    let early;
    do { // the acknowledgement is on another stream and may come behind the request
        call = open(well, channel, 1999);
        early = collect(call);
        await once(call, 'data').then(() => call.cancel(), () => {});
    } while ((await early).status.code === code.CANCELLED);
    ends(await early, 'OUT_OF_RANGE', 'not-kept');
    assert.strictEqual((await early).status.metadata.get('chanserv-oldest')[0], '2000');
    call = open(well, channel, 2000);
    await counts(call, 2000, 2001);
    const end = collect(open(well, channel, 2000)); // a younger stream takes over
    ends(await collect(call), 'ABORTED', 'superseded');
    it.say({ number: channel.number, done: true, reason: 'enough' });
    assert.strictEqual((await end).status.code, code.CANCELLED);
    await until(witness, (now) => now['end.cancelled'] > (before['end.cancelled'] ?? 0) &&
        now.sources_open === before.sources_open);
    await close(it);
});

test('a server that keeps all it may waits for an acknowledgement, which from is none', async () => {
    const it = await session(), channel = it.channel(), size = 100000;
    const [well] = await announced(witness, 'well', `1 ${size}`);
    let call = open(well, channel), came = 0;
    call.on('error', () => {}).on('data', () => { came += 1; });
    const pulled = async () => (await seen(witness, well.header)).pulled;
    while (came * size < 1 << 20 || came < await pulled()) await seen(witness);
    assert.ok(came * size < 2 << 20, `${came} frames`);
    await lost(call);
    const then = await pulled();
    call = open(well, channel, came);
    await once(call, 'metadata');
    assert.strictEqual(await pulled(), then);
    it.say({ number: channel.number, next: came });
    await counts(call, came, came + 5);
    it.say({ number: channel.number, done: true });
    await collect(call);
    await close(it);
});

test('a post goes on, with what it announced and how it ended', async () => {
    const it = await session(), channel = it.channel();
    let got = await collect(post('well', '3 10', channel));
    ends(got, 'OK');
    const [{ header }] = got.messages;
    got = await collect(post('well', '3 10', channel, 1));
    ends(got, 'OK');
    assert.deepStrictEqual(got.messages.map((each) => Number(each.header) - header), [1, 2]);
    got = await collect(post('well', '3 10', channel, 3));
    ends(got, 'OK');
    assert.strictEqual(got.messages.length, 0);
    ends(await collect(post('well', '3 10', channel, 4)), 'INVALID_ARGUMENT', 'bad-request');
    const failed = it.channel();
    for (let i = 0; i < 2; i += 1) {
        got = await collect(post('well', '1 9999999', failed));
        ends(got, 'INVALID_ARGUMENT');
        assert.match(got.status.details, /too wide/);
    }
    await close(it);
});

test('what is not wanted is skipped, and done takes what was not opened', async () => {
    const it = await session(), channel = it.channel(), before = await seen(witness);
    const { messages: wells } = await collect(post('well', '4 10', channel));
    it.say({ number: channel.number, skip: [1, 2] });
    await until(witness, (now) => now.sources_waiting === before.sources_waiting + 2);
    const call = open(wells[3], it.channel());
    await counts(call, 0, 1);
    it.say({ number: channel.number, done: true });
    await until(witness, (now) => now.sources_waiting === before.sources_waiting);
    ends(await collect(open(wells[0], it.channel())), 'NOT_FOUND', 'expired');
    await counts(call, 1, 100); // what is open stays
    const end = collect(call);
    await close(it); // and good-bye is its end
    assert.notStrictEqual((await end).status.code, code.OK);
    await until(witness, (now) => now.sources_open === before.sources_open);
});

test('who acknowledges what was not sent has no session any more', async () => {
    const it = await session(), channel = it.channel();
    ends(await collect(post('eager', '', channel)), 'OK');
    it.say({ number: 999, next: 5 }, { number: channel.number, next: 1 }, { number: channel.number });
    ends(await collect(post('eager', '', it.channel())), 'OK'); // none of these made a difference
    it.say({ number: channel.number, next: 2 });
    ends(await it.end, 'INVALID_ARGUMENT', 'bad-request');
    ends(await (await attach(witness, it.id, 2)).end, 'NOT_FOUND', 'lost');
});

test('a conversation goes on over connections that are cut', async () => {
    const path = await wire(process.env.CHANSERV_WITNESS);
    const client = connect(path.addr, { 'grpc.initial_reconnect_backoff_ms': 50 });
    const id = randomBytes(16);
    const [source] = await announced(witness, 'talk');
    let heard = 0, said = 0, ended = false, cuts = 0, acked = 0;
    for (let attempt = 1; !ended; attempt += 1) {
        const standing = await attach(client, id, attempt);
        if (!standing.first) continue;
        const call = client.Talk();
        call.on('error', () => {});
        call.write({ open: { ticket: source.ticket, from: heard, channel: { session: id, attempt, number: 1 } } });
        const [metadata] = await Promise.race([once(call, 'metadata'), standing.end.then(() => [])]);
        if (!metadata) continue;
        said = Number(metadata.get('chanserv-next')[0] ?? 0); // before this nothing is said again
        for (const until = Math.min(said + 30, 200); said < until; said += 1)
            call.write({ frame: { payload: Buffer.from(`frame ${said}`) } });
        if (said === 200) call.end();
        setTimeout(() => path.cut(), attempt < 8 ? 5 * attempt : 5000).unref();
        try {
            for await (const { payload } of call) {
                assert.strictEqual(String(payload), heard < 200 ? `${heard}:frame ${heard}` : 'bye');
                heard += 1;
            }
            ended = true;
        } catch (error) {
            cuts += 1;
            assert.ok([code.UNAVAILABLE, code.CANCELLED, code.INTERNAL].includes(error.code), error);
        }
        for (const { number, next } of standing.acks) {
            assert.strictEqual(number, 1);
            assert.ok(next >= acked && next <= said, `${next} of ${said}, after ${acked}`);
            acked = Number(next);
        }
    }
    assert.strictEqual(heard, 201);
    assert.ok(acked > 0 && acked <= 200, `${acked} are acknowledged`);
    assert.ok(cuts >= 2, `${cuts} cuts`);
    client.close();
    path.close();
});
