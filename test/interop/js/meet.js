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
