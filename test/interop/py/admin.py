"""Health and reflection, as Python's grpcio asks."""
import os

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from kit import WITNESS, case, channel, ended, same

# The stubs stand in a package that there is already.
grpc.__path__ += [os.path.join(path, "grpc") for path in os.environ["PYTHONPATH"].split(":")]
# pylint: disable=wrong-import-position,no-name-in-module
from grpc.health.v1 import health_pb2 as health, health_pb2_grpc  # noqa: E402
from grpc.reflection.v1 import reflection_pb2, reflection_pb2_grpc  # noqa: E402
from grpc.reflection.v1alpha import reflection_pb2 as alpha_pb2  # noqa: E402
from grpc.reflection.v1alpha import reflection_pb2_grpc as alpha_pb2_grpc  # noqa: E402


@case("health: the server, its gRPC services and its own, and what it has not")
def _():
    client = health_pb2_grpc.HealthStub(channel(WITNESS))
    for service in ("", "chanserv.v1.Chanserv", "interop.Calls", "well"):
        same(client.Check(health.HealthCheckRequest(service=service)).status,
             health.HealthCheckResponse.SERVING)
    try:
        client.Check(health.HealthCheckRequest(service="nobody"))
        assert False, "nobody is well"
    except grpc.RpcError as error:
        same(error.code(), grpc.StatusCode.NOT_FOUND)


@case("health: a watch says what is, at once, and stays")
def _():
    client = health_pb2_grpc.HealthStub(channel(WITNESS))
    for service, status in (("well", "SERVING"), ("nobody", "SERVICE_UNKNOWN")):
        call = client.Watch(health.HealthCheckRequest(service=service), timeout=0.5)
        # Either side's clock may be first: ours leaves a reason, grpc's own none.
        code, _reason, messages = ended(call)
        same((code, [health.HealthCheckResponse.ServingStatus.Name(said.status)
                     for said in messages]), ("DEADLINE_EXCEEDED", [status]))


def reflection_cases(version, pb, stub):
    def ask(*questions):
        answers = list(stub(channel(WITNESS)).ServerReflectionInfo(
            iter([pb.ServerReflectionRequest(**question) for question in questions])))
        same(len(answers), len(questions))
        return answers

    @case(f"reflection {version}: all that is needed to call a server that one knows nothing of")
    def _():
        (listed,) = ask({"list_services": ""})
        names = [service.name for service in listed.list_services_response.service]
        assert "chanserv.v1.Chanserv" in names and "grpc.health.v1.Health" in names, names
        (answer,) = ask({"file_containing_symbol": "chanserv.v1.Chanserv.Post"})
        pool = descriptor_pool.DescriptorPool()
        for file in answer.file_descriptor_response.file_descriptor_proto:
            pool.Add(descriptor_pb2.FileDescriptorProto.FromString(file))
        post = pool.FindServiceByName("chanserv.v1.Chanserv").FindMethodByName("Post")
        request, reply = (message_factory.MessageFactory(pool).GetPrototype(kind)
                          for kind in (post.input_type, post.output_type))
        call = channel(WITNESS).unary_stream("/chanserv.v1.Chanserv/Post",
                                             request_serializer=request.SerializeToString,
                                             response_deserializer=reply.FromString)
        same([said.seq for said in call(request(service="well", body=b"3 10"))], [0, 1, 2])

    @case(f"reflection {version}: many questions in one call, and each error is an answer")
    def _():
        wrong = pb.ExtensionRequest(containing_type="chanserv.v1.Frame", extension_number=9)
        answers = ask(*[{"file_by_filename": "grpc/health/v1/health.proto"}] * 200,
                      {"file_by_filename": "nothing.proto"}, {"file_containing_extension": wrong},
                      {"all_extension_numbers_of_type": "chanserv.v1.Frame"})
        same([said.WhichOneof("message_response") for said in answers[199:]],
             ["file_descriptor_response", "error_response", "error_response",
              "all_extension_numbers_response"])
        same([said.error_response.error_code for said in answers[200:202]], [5, 5])


reflection_cases("v1", reflection_pb2, reflection_pb2_grpc.ServerReflectionStub)
reflection_cases("v1alpha", alpha_pb2, alpha_pb2_grpc.ServerReflectionStub)
