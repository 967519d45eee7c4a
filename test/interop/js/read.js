// Posts, sources and frames: what every reader does, and how it ends.
'use strict';
const {
    announced, assert, code, collect, connect, ends, frames, grpc, one, open, post, seen, test,
} = require('./kit');
const { genFrame } = require('./gen');

const gen = connect(process.env.CHANSERV_GEN);
const witness = connect(process.env.CHANSERV_WITNESS);

test('the services are listed', async () => {
    const call = gen.Services({});
    const list = await one(call);
    call.on('error', () => {});
    call.cancel();
    const names = list.services.map((service) => service.name);
    assert.deepStrictEqual([...names].sort(), ['echo', 'gen', 'rendezvous', 'tail']);
    assert.strictEqual(list.instance.length, 8);
    assert.ok(!list.draining);
});

test('a post announces its sources, and each one can be read', async () => {
    const { messages, metadata, status } =
        await collect(post(gen, 'gen', 'sources=5&frames=3&size=100'));
    assert.strictEqual(status.code, code.OK);
    assert.strictEqual(metadata.get('chanserv-instance').length, 1, 'the instance is named');
    assert.deepStrictEqual(messages.map((source) => source.header.toString()),
        [0, 1, 2, 3, 4].map((i) => `source @${i}`));
    assert.deepStrictEqual(messages.map((source) => Number(source.seq ?? 0)), [0, 1, 2, 3, 4]);
    for (const [i, source] of messages.entries()) {
        assert.deepStrictEqual(await frames(open(gen, source)),
            [0, 1, 2].map((j) => genFrame(i, j, 100)));
    }
});

test('a post without sources, and a source without frames, end well', async () => {
    assert.deepStrictEqual(await announced(gen, 'gen', 'sources=0'), []);
    const [source] = await announced(gen, 'gen', 'sources=1&frames=0');
    const got = await collect(open(gen, source));
    ends(got, 'OK');
    assert.strictEqual(got.messages.length, 0);
});

test('a hundred sources are open at once', async () => {
    const sources = await announced(gen, 'gen', 'sources=100&frames=20&size=1000&delay_ms=5');
    let most = 0;
    let now = 0;
    const all = sources.map(async (source, i) => {
        const call = open(gen, source);
        await one(call).then((frame) => assert.deepStrictEqual(frame.payload, genFrame(i, 0, 1000)));
        now += 1;
        most = Math.max(most, now);
        const rest = await frames(call);
        now -= 1;
        assert.strictEqual(rest.length, 19);
        rest.forEach((frame, j) => assert.deepStrictEqual(frame, genFrame(i, j + 1, 1000)));
    });
    await Promise.all(all);
    assert.strictEqual(most, 100);
});

test('a source is opened before the rest of the master stream is read', async () => {
    const master = post(gen, 'gen', 'sources=2000&frames=1&size=10');
    const first = await one(master);
    const [frame] = await frames(open(gen, first));
    assert.deepStrictEqual(frame, genFrame(0, 0, 10));
    let count = 1;
    for await (const source of master) {
        assert.strictEqual(source.header.toString(), `source @${count}`);
        count += 1;
    }
    assert.strictEqual(count, 2000);
});

test('ten thousand sources of one post are read, a hundred at a time', async () => {
    const sources = await announced(gen, 'gen', 'sources=10000&frames=1&size=20');
    assert.strictEqual(sources.length, 10000);
    let at = 0;
    async function reader() {
        while (at < sources.length) {
            const i = at++;
            assert.deepStrictEqual(await frames(open(gen, sources[i])), [genFrame(i, 0, 20)]);
        }
    }
    await Promise.all(Array.from({ length: 100 }, reader));
}, 120);

test("a producer's error comes after its frames, with its UTF-8 message", async () => {
    for (const status of [1, 2, 9, 14, 15]) {
        const sources = await announced(gen, 'gen', `sources=2&frames=2&size=50&status=${status}`);
        const got = await collect(open(gen, sources[1]));
        assert.deepStrictEqual(got.messages.map((frame) => frame.payload),
            [genFrame(1, 0, 50), genFrame(1, 1, 50)]);
        ends(got, code[status]); // and no reason: the framework did not make it
        assert.strictEqual(got.status.details, 'source @1 ends as asked: schön, 好的 ✓');
    }
});

test('a frame of 64 MiB comes in parts', async () => {
    const [source] = await announced(gen, 'gen', `sources=1&frames=1&size=${64 << 20}`);
    const parts = [];
    let last;
    for await (const { payload, more } of open(gen, source)) {
        assert.ok(payload.length <= 1 << 20, `a part of ${payload.length} bytes`);
        parts.push(payload);
        last = more;
    }
    assert.ok(!last, 'the last part says so');
    assert.strictEqual(parts.length, 64);
    assert.ok(Buffer.concat(parts).equals(genFrame(0, 0, 64 << 20)));
}, 60);

test('a source of 64 MiB in frames of 1000 bytes is whole and in order', async () => {
    const count = Math.floor((64 << 20) / 1000);
    const [source] = await announced(gen, 'gen', `sources=1&frames=${count}&size=1000`);
    let j = 0;
    for await (const frame of open(gen, source)) {
        assert.ok(frame.payload.equals(genFrame(0, j, 1000)), `frame ${j}`);
        j += 1;
    }
    assert.strictEqual(j, count);
}, 60);

test('an empty frame is a frame, and a gap says how many were dropped', async () => {
    const [source] = await announced(witness, 'odd');
    const got = await collect(open(witness, source));
    ends(got, 'OK');
    assert.deepStrictEqual(got.messages.map(({ what, payload, gap }) =>
        (what === 'gap' ? `${gap.count} dropped, ${gap.reason}` : `[${payload}]`)),
    ['[]', '[a]', '7 dropped, 1', '[]', '[z]']);
});

test('a small eager source rides in its announcement when asked to', async () => {
    const asked = await collect(post(witness, 'eager', '', { inlineBytes: 4096 }));
    ends(asked, 'OK');
    const [inline] = asked.messages;
    assert.deepStrictEqual(inline.frames.map((frame) => frame.payload.toString()),
        ['first', 'second']);
    assert.strictEqual(inline.end.code ?? 0, 0);
    assert.ok(!inline.ticket || inline.ticket.length === 0);

    const [plain] = await announced(witness, 'eager');
    assert.ok(plain.eager);
    assert.strictEqual((plain.frames ?? []).length, 0);
    assert.deepStrictEqual((await frames(open(witness, plain))).map(String), ['first', 'second']);
});

test('an eager source that does not fit is read on behind its inline frames', async () => {
    const asked = await collect(post(gen, 'gen', 'sources=1&frames=10&size=100&eager=1',
        { inlineBytes: 350 }));
    const [source] = asked.messages;
    const inline = source.frames.map((frame) => frame.payload);
    assert.ok(inline.length > 0 && inline.length < 10, `${inline.length} frames`);
    const rest = await collect(gen.Open({ ticket: source.ticket, from: inline.length }));
    ends(rest, 'OK');
    assert.deepStrictEqual([...inline, ...rest.messages.map((frame) => frame.payload)],
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((j) => genFrame(0, j, 100)));
});

test('metadata travels both ways, bytes too', async () => {
    const raw = Buffer.from([0, 1, 2, 0xff, 0xfe, 10, 13, 37]);
    for (const bytes of [raw, raw.subarray(0, 7), raw.subarray(0, 6)]) {
        const metadata = new grpc.Metadata();
        metadata.set('x-word', 'spoken, with a comma');
        metadata.set('x-raw-bin', bytes);
        const got = await collect(post(witness, 'mirror', 'body', { metadata }));
        ends(got, 'OK');
        for (const where of [got.metadata, got.status.metadata]) {
            assert.deepStrictEqual(where.get('y-word'), ['spoken, with a comma']);
            assert.deepStrictEqual(where.get('y-raw-bin'), [bytes]);
        }
    }
});

test('a body of 3 MiB arrives, one of 5 MiB is refused', async () => {
    const [source] = await announced(witness, 'mirror', Buffer.alloc(3 << 20, 'x'));
    assert.strictEqual(source.header.toString(), String(3 << 20));
    ends(await collect(post(witness, 'mirror', Buffer.alloc(5 << 20, 'x'))),
        'RESOURCE_EXHAUSTED', 'too-large');
});

test('two clients read at once, on connections of their own', async () => {
    const before = await seen(witness);
    const clients = [connect(process.env.CHANSERV_WITNESS), connect(process.env.CHANSERV_WITNESS)];
    await Promise.all(clients.map(async (client) => {
        for (let round = 0; round < 50; round++) {
            const [source] = await announced(client, 'eager');
            assert.deepStrictEqual((await frames(open(client, source))).map(String),
                ['first', 'second']);
        }
    }));
    const after = await seen(witness);
    clients.forEach((client) => client.close());
    assert.strictEqual(after.connections_total, before.connections_total + 2);
});

test('the lines of a file are frames', async () => {
    const sources = await announced(gen, 'tail', '*.txt?follow=0');
    const read = {};
    for (const source of sources)
        read[source.header] = (await frames(open(gen, source))).map(String);
    assert.deepStrictEqual(read, {
        'empty.txt': [],
        'lines.txt': ['one\n', 'zwei ✓\n', '\n', 'no newline'],
    });
});
