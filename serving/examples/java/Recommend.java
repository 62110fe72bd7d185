import com.google.protobuf.ByteString;
import com.google.protobuf.DescriptorProtos.FileDescriptorProto;
import com.google.protobuf.DescriptorProtos.FileDescriptorSet;
import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.FileDescriptor;
import com.google.protobuf.DynamicMessage;
import com.google.protobuf.Message;
import com.google.protobuf.util.JsonFormat;
import io.grpc.CallOptions;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.MethodDescriptor;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.ProtoUtils;
import io.grpc.stub.ClientCalls;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * Asks a TensorFlow Serving, stock or embedded, for recommendations from Java.
 *
 * <pre>
 * tfrec serve --write-protoset tfserving.protoset
 * mvn -q compile exec:java -Dexec.args="127.0.0.1:8500 songs user-42 10 tfserving.protoset"
 * </pre>
 */
public final class Recommend {
  private static final String REQUEST =
      """
      {"model_spec": {"name": "%s"}, "inputs": {
        "user_id": {"dtype": "DT_STRING", "tensor_shape": {"dim": [{"size": 1}]},
                    "string_val": ["%s"]},
        "history": {"dtype": "DT_STRING", "tensor_shape": {"dim": [{"size": 1}, {"size": 0}]}},
        "exclude": {"dtype": "DT_STRING", "tensor_shape": {"dim": [{"size": 1}, {"size": 0}]}},
        "k": {"dtype": "DT_INT32", "tensor_shape": {"dim": [{"size": 1}]}, "int_val": [%s]}}}
      """;

  public static void main(String[] arguments) throws Exception {
    Map<String, FileDescriptor> files = new HashMap<>();
    FileDescriptorSet set = FileDescriptorSet.parseFrom(Files.readAllBytes(Path.of(arguments[4])));
    for (FileDescriptorProto file : set.getFileList()) {  // dependencies come first
      FileDescriptor[] needs =
          file.getDependencyList().stream().map(files::get).toArray(FileDescriptor[]::new);
      files.put(file.getName(), FileDescriptor.buildFrom(file, needs));
    }
    FileDescriptor predict = files.get("tensorflow_serving/apis/predict.proto");
    Descriptor response = predict.findMessageTypeByName("PredictResponse");
    DynamicMessage.Builder request =
        DynamicMessage.newBuilder(predict.findMessageTypeByName("PredictRequest"));
    String user =
        Base64.getEncoder().encodeToString(arguments[2].getBytes(StandardCharsets.UTF_8));
    JsonFormat.parser().merge(REQUEST.formatted(arguments[1], user, arguments[3]), request);
    MethodDescriptor<Message, Message> method =
        MethodDescriptor.<Message, Message>newBuilder()
            .setType(MethodDescriptor.MethodType.UNARY)
            .setFullMethodName("tensorflow.serving.PredictionService/Predict")
            .setRequestMarshaller(ProtoUtils.marshaller(request.getDefaultInstanceForType()))
            .setResponseMarshaller(
                ProtoUtils.marshaller((Message) DynamicMessage.getDefaultInstance(response)))
            .build();
    ManagedChannel channel = ManagedChannelBuilder.forTarget(arguments[0]).usePlaintext().build();
    try {
      CallOptions options = CallOptions.DEFAULT.withDeadlineAfter(5, TimeUnit.SECONDS);
      print(ClientCalls.blockingUnaryCall(channel, method, options, request.build()));
    } catch (StatusRuntimeException error) {
      System.err.println(error.getStatus().getCode() + ": " + error.getStatus().getDescription());
      System.exit(1);
    } finally {
      channel.shutdownNow();
    }
  }

  private static void print(Message response) {
    Map<String, Message> outputs = new HashMap<>();
    for (Object entry : (List<?>) field(response, "outputs")) {
      outputs.put((String) field((Message) entry, "key"), (Message) field((Message) entry, "value"));
    }
    List<?> ids = (List<?>) field(outputs.get("item_ids"), "string_val");
    List<?> scores = (List<?>) field(outputs.get("scores"), "float_val");
    for (int rank = 0; rank < ids.size(); rank++) {
      String id = ((ByteString) ids.get(rank)).toStringUtf8();
      if (!id.isEmpty()) {
        System.out.println((rank + 1) + "\t" + id + "\t" + scores.get(rank));
      }
    }
  }

  private static Object field(Message message, String name) {
    return message.getField(message.getDescriptorForType().findFieldByName(name));
  }
}
