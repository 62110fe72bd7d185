// Asks a TensorFlow Serving, stock or embedded, for recommendations from Node.
//
//   tfrec serve --write-protoset tfserving.protoset
//   npm install @grpc/grpc-js @grpc/proto-loader
//   node recommend.js 127.0.0.1:8500 songs "user 42" 10 tfserving.protoset
const fs = require("fs");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const [target, model, user, k, protoset] = process.argv.slice(2);
const definition = loader.loadFileDescriptorSetFromBuffer(fs.readFileSync(protoset), {
  keepCase: true,
  longs: Number,
});
const { PredictionService } = grpc.loadPackageDefinition(definition).tensorflow.serving;
const client = new PredictionService(target, grpc.credentials.createInsecure());

const shape = (...sizes) => ({ dim: sizes.map((size) => ({ size })) });
const strings = (values, ...sizes) => ({
  dtype: "DT_STRING",
  tensor_shape: shape(...sizes),
  string_val: values.map((value) => Buffer.from(value)),
});
const request = {
  model_spec: { name: model },
  // Read from a descriptor set, a map is a list of entries.
  inputs: [
    { key: "user_id", value: strings([user], 1) },
    { key: "history", value: strings([], 1, 0) },
    { key: "exclude", value: strings([], 1, 0) },
    { key: "k", value: { dtype: "DT_INT32", tensor_shape: shape(1), int_val: [Number(k)] } },
  ],
};
client.Predict(request, { deadline: Date.now() + 5000 }, (error, answer) => {
  if (error) {
    console.error(`${grpc.status[error.code]}: ${error.details}`);
    process.exit(1);
  }
  const outputs = Object.fromEntries(answer.outputs.map(({ key, value }) => [key, value]));
  const { item_ids: ids, scores } = outputs;
  ids.string_val.forEach((id, rank) => {
    if (id.length) console.log(`${rank + 1}\t${id}\t${scores.float_val[rank]}`);
  });
  client.close();
});
