// Asks a TensorFlow Serving, stock or embedded, for recommendations from Go.
//
//	tfrec serve --write-protoset tfserving.protoset
//	go run . 127.0.0.1:8500 songs "user 42" 10 tfserving.protoset
package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

const request = `{"model_spec": {"name": %q}, "inputs": {
  "user_id": {"dtype": "DT_STRING", "tensor_shape": {"dim": [{"size": 1}]}, "string_val": [%q]},
  "history": {"dtype": "DT_STRING", "tensor_shape": {"dim": [{"size": 1}, {"size": 0}]}},
  "exclude": {"dtype": "DT_STRING", "tensor_shape": {"dim": [{"size": 1}, {"size": 0}]}},
  "k": {"dtype": "DT_INT32", "tensor_shape": {"dim": [{"size": 1}]}, "int_val": [%s]}}}`

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	log.SetFlags(0)
	target, model, user, k := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	content, err := os.ReadFile(os.Args[5])
	check(err)
	var set descriptorpb.FileDescriptorSet
	check(proto.Unmarshal(content, &set))
	files, err := protodesc.NewFiles(&set)
	check(err)
	message := func(name protoreflect.FullName) *dynamicpb.Message {
		found, err := files.FindDescriptorByName("tensorflow.serving." + name)
		check(err)
		return dynamicpb.NewMessage(found.(protoreflect.MessageDescriptor))
	}
	in, out := message("PredictRequest"), message("PredictResponse")
	id := base64.StdEncoding.EncodeToString([]byte(user))
	check(protojson.Unmarshal([]byte(fmt.Sprintf(request, model, id, k)), in))

	connection, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(err)
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	check(connection.Invoke(ctx, "/tensorflow.serving.PredictionService/Predict", in, out))

	outputs := out.Get(out.Descriptor().Fields().ByName("outputs")).Map()
	values := func(output, field string) protoreflect.List {
		tensor := outputs.Get(protoreflect.ValueOfString(output).MapKey()).Message()
		return tensor.Get(tensor.Descriptor().Fields().ByName(protoreflect.Name(field))).List()
	}
	ids, scores := values("item_ids", "string_val"), values("scores", "float_val")
	for rank := range ids.Len() {
		if item := ids.Get(rank).Bytes(); len(item) > 0 {
			fmt.Printf("%d\t%s\t%v\n", rank+1, item, scores.Get(rank).Float())
		}
	}
}
