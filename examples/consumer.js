// Posts to a service and prints every frame of every source it announces.  Nothing of chanserv's
// is needed but its .proto file:
//     npm install @grpc/grpc-js @grpc/proto-loader
//     node consumer.js localhost:5555 SERVICE BODY
const grpc = require('@grpc/grpc-js');
const proto = require('@grpc/proto-loader').loadSync(`${__dirname}/../proto/chanserv.proto`);
const { Chanserv } = grpc.loadPackageDefinition(proto).chanserv.v1;

const [addr, service, body = ''] = process.argv.slice(2);
const server = new Chanserv(addr, grpc.credentials.createInsecure());

async function read({ header, ticket }) {
    let payload = Buffer.alloc(0);
    for await (const frame of server.Open({ ticket })) {
        payload = Buffer.concat([payload, frame.payload ?? Buffer.alloc(0)]);
        if (frame.more) continue; // a large frame comes in parts
        console.log(`${header}: ${payload}`);
        payload = Buffer.alloc(0);
    }
}

function fail(error) {
    console.error(error.message);
    process.exitCode = 1;
}

async function main() {
    const readers = []; // the sources are read at once, each at its own pace
    for await (const source of server.Post({ service, body: Buffer.from(body) }))
        readers.push(read(source).catch(fail));
    await Promise.all(readers);
}

main().catch(fail).finally(() => server.close());
