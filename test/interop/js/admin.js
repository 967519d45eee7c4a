// Health and reflection as grpc's own clients ask for them: by the .proto files that grpc publishes, not by
// ours (grpc-health-check, @grpc/reflection).
'use strict';
const path = require('path');
const loader = require('@grpc/proto-loader');
const { assert, announced, code, collect, connect, grpc, one, test } = require('./kit');

const packaged = (name, ...file) =>
    grpc.loadPackageDefinition(loader.loadSync(
        path.join(path.dirname(require.resolve(`${name}/package.json`)), ...file),
        { enums: String, oneofs: true, keepCase: true })).grpc;
const insecure = grpc.credentials.createInsecure();
const addr = process.env.CHANSERV_WITNESS;
const { Health } = packaged('grpc-health-check', 'proto', 'health', 'v1', 'health.proto').health.v1;

function check(client, service) {
    return new Promise((resolve) => {
        client.check({ service }, (error, reply) => resolve(error ? code[error.code] : reply.status));
    });
}

test('health: the server, its gRPC services and its own, and what it has not', async () => {
    const client = new Health(addr, insecure);
    for (const service of ['', 'chanserv.v1.Chanserv', 'grpc.health.v1.Health', 'interop.Calls', 'well'])
        assert.strictEqual(await check(client, service), 'SERVING', service);
    assert.strictEqual(await check(client, 'nobody'), 'NOT_FOUND');
});

test('health: a watch says what is, at once, and stays', async () => {
    const client = new Health(addr, insecure);
    for (const [service, status] of [['well', 'SERVING'], ['nobody', 'SERVICE_UNKNOWN']]) {
        const call = client.watch({ service });
        assert.strictEqual((await one(call)).status, status);
        await new Promise((resolve) => setTimeout(resolve, 50));
        assert.strictEqual(call.read(), null);
        call.on('error', () => {});
        call.cancel();
    }
});

test('debug: what runs, what it waits for, and every counter', async () => {
    const { Debug } = grpc.loadPackageDefinition(loader.loadSync(
        path.join(path.dirname(process.env.CHANSERV_PROTO), 'debug.proto'), { enums: String, longs: Number, defaults: true })).chanserv.v1;
    const client = connect(addr);
    await announced(client, 'well', '2 100'); // nobody opens them
    const reply = await new Promise((resolve, reject) => {
        new Debug(addr, insecure).stat({ max: 5000 }, (error, got) => (error ? reject(error) : resolve(got)));
    });
    // Others have left some, too.
    const unclaimed = reply.entries.filter(({ kind, waits, service }) =>
        kind === 'SOURCE' && waits === 'claim' && service === 'well');
    assert.ok(unclaimed.length >= 2, JSON.stringify(reply.entries));
    assert.ok(unclaimed.every(({ peer }) => peer.startsWith('127.0.0.1:')));
    const posts = reply.entries.filter(({ kind }) => kind === 'POST').map(({ number }) => number);
    assert.ok(unclaimed.every(({ of }) => posts.includes(of)));
    const connections = reply.entries.filter(({ kind }) => kind === 'CONNECTION');
    assert.ok(connections.length >= 1 && connections.every(({ bytesIn }) => bytesIn > 0), JSON.stringify(connections));
    assert.strictEqual(reply.counters.connections, connections.length);
    assert.ok(reply.counters.sources_waiting >= 2);
    client.close();
});

for (const version of ['v1', 'v1alpha']) {
    const { ServerReflection } = packaged('@grpc/reflection', 'build', 'proto', 'grpc', 'reflection', version,
        'reflection.proto').reflection[version];

    // The answers to some questions, all of one call.
    async function ask(questions) {
        const call = new ServerReflection(addr, insecure).ServerReflectionInfo();
        questions.forEach((question) => call.write(question));
        call.end();
        const { messages, status } = await collect(call);
        assert.strictEqual(status.code, code.OK, status.details);
        messages.forEach((message, i) => assert.deepStrictEqual(
            message.original_request[message.original_request.message_request],
            questions[i][message.original_request.message_request]));
        return messages;
    }

    test(`reflection ${version}: all that is needed to call a server that one knows nothing of`, async () => {
        const [list] = await ask([{ list_services: '' }]);
        const names = list.list_services_response.service.map(({ name }) => name);
        assert.deepStrictEqual(names.sort(), ['chanserv.v1.Chanserv', 'chanserv.v1.Debug', 'grpc.health.v1.Health',
            'grpc.reflection.v1.ServerReflection', 'grpc.reflection.v1alpha.ServerReflection', 'interop.Calls']);
        const [answer] = await ask([{ file_containing_symbol: 'chanserv.v1.Chanserv' }]);
        const files = answer.file_descriptor_response.file_descriptor_proto;
        // A client made of the answer alone.
        const { FileDescriptorSet } = require('protobufjs/ext/descriptor');
        const set = { file: files.map((bytes) => require('protobufjs/ext/descriptor')
            .FileDescriptorProto.decode(bytes)) };
        const encoded = FileDescriptorSet.encode(FileDescriptorSet.fromObject(set)).finish();
        const { Chanserv } = grpc.loadPackageDefinition(
            loader.loadFileDescriptorSetFromBuffer(Buffer.from(encoded))).chanserv.v1;
        const call = new Chanserv(addr, insecure).Post({ service: 'well', body: Buffer.from('3 10') });
        const { messages, status } = await collect(call);
        assert.strictEqual(status.code, code.OK, status.details);
        assert.strictEqual(messages.length, 3);
    });

    test(`reflection ${version}: many questions in one call, and each error is an answer`, async () => {
        const got = await ask([
            { file_by_filename: 'grpc/health/v1/health.proto' },
            { file_containing_symbol: 'chanserv.v1.Nothing' },
            { file_by_filename: 'nothing.proto' },
            { file_containing_symbol: 'grpc.health.v1.Health.Watch' },
            { all_extension_numbers_of_type: 'chanserv.v1.Frame' },
            { file_containing_extension: { containing_type: 'chanserv.v1.Frame', extension_number: 9 } }]);
        assert.deepStrictEqual(got.map((one) => one.message_response), ['file_descriptor_response',
            'error_response', 'error_response', 'file_descriptor_response',
            'all_extension_numbers_response', 'error_response']);
        assert.deepStrictEqual(got.flatMap((one) => one.error_response?.error_code ?? []),
            [code.NOT_FOUND, code.NOT_FOUND, code.NOT_FOUND]);
    });
}
