// Parties of other makes meet: one by gRPC, one by curl, at `chanserv serve --rendezvous`.
'use strict';
const { execFile } = require('child_process');
const { assert, code, collect, connect, ends, frames, one, open, post, test } = require('./kit');

const addr = process.env.CHANSERV_GEN;
const client = connect(addr);
const ask = (wish, more) => post(client, 'rendezvous', JSON.stringify(wish), more);

// GET /event by curl, with these parameters: {status, body}.
function curl(params) {
    const url = `http://${addr}/event?${new URLSearchParams(params)}`;
    return new Promise((resolve, reject) => {
        execFile('curl', ['-sS', '-m', '15', '-w', '\n%{http_code}', url], (error, out) => {
            if (error) return reject(error);
            const at = out.lastIndexOf('\n');
            return resolve({ body: JSON.parse(out.slice(0, at)), status: Number(out.slice(at + 1)) });
        });
    });
}

// Posts, and opens its meeting.
async function wait(wish) {
    const call = ask(wish);
    const source = await one(call);
    assert.strictEqual(String(source.header), 'meeting');
    return { ended: collect(call), meeting: open(client, source) };
}

test('rendezvous: grpc-js waits, curl comes, both have what both brought', async () => {
    const party = await wait({ event: 'js', actor: 'grpc', payload: 'schön ✓', roster: false });
    const { status, body } = await curl({ event: 'js', actor: 'curl', payload: '好的' });
    const wanted = { payloads: { curl: '好的', grpc: 'schön ✓' } };
    assert.strictEqual(status, 200);
    assert.deepStrictEqual(body, wanted);
    const came = await frames(party.meeting);
    assert.deepStrictEqual(came.map((frame) => JSON.parse(frame)), [wanted]);
    ends(await party.ended, 'OK');
});

// ---- The tests and examples of the first implementation, all of them by gRPC ------------------------

// Each waits; answers what each hears, which is all the same.
async function all(...wishes) {
    const parties = [];
    for (const wish of wishes) parties.push(await wait({ roster: false, ...wish }));
    const heard = await Promise.all(parties.map(async ({ ended, meeting }) => {
        const [match] = await frames(meeting);
        ends(await ended, 'OK');
        return String(match);
    }));
    assert.strictEqual(new Set(heard).size, 1, heard.join(' '));
    return heard[0];
}

// Nobody of them hears anything within so long; their time is up then.
async function block(...wishes) {
    const calls = wishes.map((wish) => ask({ roster: false, timeout: 300, ...wish }));
    for (const { status } of await Promise.all(calls.map(collect)))
        assert.strictEqual(status.code, code.DEADLINE_EXCEEDED, status.details);
}

test('rendezvous: VM and CUST meet by grpc-js', async () => {
    assert.strictEqual(await all({ event: 'VM-is-up', actor: 'VM', payload: '192.168.1.1' },
        { event: 'VM-is-up', actor: 'CUST', payload: 'hello' }),
    '{"payloads":{"CUST":"hello","VM":"192.168.1.1"}}');
});

test('rendezvous: a triplet meets by grpc-js', async () => {
    const wishes = ['c', 'a', 'b'].map((actor) => ({ event: 'js-3', actor, mates: 2, payload: actor.repeat(2) }));
    assert.strictEqual(await all(...wishes), '{"payloads":{"a":"aa","b":"bb","c":"cc"}}');
});

test('rendezvous: the same actor twice must block, by grpc-js', async () => {
    await block({ event: 'js-twice', actor: 'a' }, { event: 'js-twice', actor: 'a' });
});

test('rendezvous: a selector must block, the one of who came first too, by grpc-js', async () => {
    const first = { event: 'js-select', actor: 'a', selector: 'zone=west' };
    await block(first, { event: 'js-select', actor: 'b', labels: 'zone=east' });
    assert.strictEqual(await all(first, { event: 'js-select', actor: 'c', labels: 'zone=west' }),
        '{"payloads":{"a":"","c":""}}');
});

test('rendezvous: who has met by grpc-js talks over a channel', async () => {
    const parties = [];
    for (const actor of ['a', 'b'])
        parties.push(await wait({ event: 'js-talk', actor, roster: false, channels: true }));
    const [a, b] = await Promise.all(parties.map(async ({ ended, meeting }, i) => {
        await frames(meeting);
        const got = await ended;
        ends(got, 'OK');
        const [channel] = got.messages;
        assert.strictEqual(String(channel.header), ['b', 'a'][i]);
        const call = client.Talk();
        call.write({ open: { ticket: channel.ticket } });
        return call;
    }));
    const say = (call, payload) => call.write({ frame: { payload: Buffer.from(payload) } });
    say(a, 'hello b');
    assert.strictEqual(String((await one(b)).payload), 'hello b');
    say(b, 'hello a');
    assert.strictEqual(String((await one(a)).payload), 'hello a');
    const ended = [a, b].map(collect);
    a.end();
    b.end();
    for (const got of await Promise.all(ended)) ends(got, 'OK');
});

test('rendezvous: the roster says who came before the match does', async () => {
    const party = await wait({ event: 'js3', actor: 'a', mates: 2 });
    const first = JSON.parse((await one(party.meeting)).payload);
    assert.deepStrictEqual(first, { waiting: { here: ['a'], missing: 2 } });
    const others = ['b', 'c'].map((actor) => curl({ event: 'js3', actor, mates: 2 }));
    const came = (await frames(party.meeting)).map((frame) => JSON.parse(frame));
    assert.deepStrictEqual(came.at(-1), { payloads: { a: '', b: '', c: '' } });
    for (const { body } of await Promise.all(others)) assert.deepStrictEqual(body, came.at(-1));
    ends(await party.ended, 'OK');
});

test('rendezvous: curl does not meet who has left', async () => {
    const call = ask({ event: 'js-left', actor: 'grpc' });
    await one(call);
    const gone = collect(call);
    call.cancel();
    assert.strictEqual((await gone).status.code, code.CANCELLED);
    const { status, body } = await curl({ event: 'js-left', actor: 'curl', timeout: 500 });
    assert.strictEqual(status, 408);
    assert.match(body.error.message, /missing: 1; here: curl$/);
});

test('rendezvous: what makes no sense is INVALID_ARGUMENT, with its name', async () => {
    const { status } = await collect(ask({ event: 'js', actor: 'grpc', selector: 'zone=(' }));
    assert.strictEqual(status.code, code.INVALID_ARGUMENT);
    assert.match(status.details, /^selector: column 6: /);
});
