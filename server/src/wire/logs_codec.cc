#include "wire/logs_codec.h"

#include <sodium/utils.h>

#include <optional>

#include "base/json.h"
#include "wire/request_fields.h"

namespace mc::wire {
namespace {
constexpr std::size_t kChunkBytesMax = 16 << 20;
constexpr std::size_t kChunksMax = 100'000;

std::optional<std::string> from_base64(const std::string& text) {
  std::string out(text.size(), '\0');
  std::size_t size = 0;
  const int failed =
      sodium_base642bin(reinterpret_cast<unsigned char*>(out.data()), out.size(), text.data(),
                        text.size(), nullptr, &size, nullptr, sodium_base64_VARIANT_ORIGINAL);
  if (failed != 0) return std::nullopt;
  out.resize(size);
  return out;
}

void read_source(RequestFields& fields, LogChunk& chunk) {
  fields.integer("t", chunk.t);
  fields.text("step", chunk.step, 1024);
  fields.text("stream", chunk.stream, 32);
  if (chunk.stream.empty()) chunk.stream = "stdout";
}

Result<LogChunk> read_chunk(const Value& body) {
  RequestFields fields(body, {"t", "step", "stream", "text", "base64"});
  LogChunk chunk;
  read_source(fields, chunk);
  fields.text("text", chunk.text, kChunkBytesMax);
  std::string encoded;
  fields.text("base64", encoded, kChunkBytesMax);
  if (!encoded.empty()) {
    const auto bytes = from_base64(encoded);
    bytes ? void(chunk.text = *bytes) : fields.wrong("base64", "not base64");
  }
  return fields.finish(std::move(chunk));
}

// A chunk whose bytes follow later.
struct RawChunk {
  LogChunk chunk;
  std::int64_t size = 0;
};
Result<RawChunk> read_raw_chunk(const Value& body) {
  RequestFields fields(body, {"t", "step", "stream", "size"});
  RawChunk raw;
  read_source(fields, raw.chunk);
  fields.require("size").integer("size", raw.size);
  if (raw.size < 0 || raw.size > static_cast<std::int64_t>(kChunkBytesMax))
    fields.wrong("size", "a number from 0 to " + std::to_string(kChunkBytesMax) + " is wanted");
  return fields.finish(std::move(raw));
}

template <class Chunk>
Result<LogsRequest> read_request(const Value& body, std::vector<Chunk>& chunks,
                                 Result<Chunk> (*read)(const Value&)) {
  RequestFields fields(body, {"worker_id", "task_id", "fence", "offset", "chunks"});
  LogsRequest request;
  fields.text("worker_id", request.worker_id, 128);
  fields.require("task_id").text("task_id", request.task_id, 256);
  fields.require("fence").integer("fence", request.fence);
  fields.integer("offset", request.offset);
  fields.list("chunks", chunks, read, kChunksMax);
  return fields.finish(std::move(request));
}

Error wrong_sizes(std::size_t bytes) {
  Error error{Code::invalid_field, "the sizes of the chunks do not add up to the bytes sent", {}};
  error.problems.push_back({.code = "invalid_field",
                            .message = "`chunks`: their sizes must add up to the " +
                                       std::to_string(bytes) +
                                       " bytes that follow the first line"});
  return error;
}
}  // namespace

std::string encode_raw(const LogsRequest& request) {
  std::size_t bytes = 0;
  JsonWriter head;
  head.open('{').field("worker_id", request.worker_id).field("task_id", request.task_id);
  head.field("fence", request.fence).field("offset", request.offset).key("chunks").open('[');
  for (const LogChunk& chunk : request.chunks) {
    head.open('{').field("t", chunk.t).field("step", chunk.step).field("stream", chunk.stream);
    head.field("size", chunk.text.size()).close('}');
    bytes += chunk.text.size();
  }
  std::string out = head.close(']').close('}').take();
  out.reserve(out.size() + 1 + bytes);
  out += '\n';
  for (const LogChunk& chunk : request.chunks) out += chunk.text;
  return out;
}

Result<LogsRequest> decode_raw_logs(std::string_view body) {
  const std::size_t line = body.find('\n');
  const Result<Value> head = parse_json(body.substr(0, line));
  if (!head.ok()) return head.error();
  std::vector<RawChunk> chunks;
  Result<LogsRequest> request = read_request(*head, chunks, read_raw_chunk);
  if (!request.ok()) return request;
  std::string_view bytes = line == std::string_view::npos ? "" : body.substr(line + 1);
  const std::size_t sent = bytes.size();
  request->chunks.reserve(chunks.size());
  for (RawChunk& raw : chunks) {
    const auto size = static_cast<std::size_t>(raw.size);
    if (size > bytes.size()) return wrong_sizes(sent);
    raw.chunk.text = bytes.substr(0, size);
    bytes.remove_prefix(size);
    request->chunks.push_back(std::move(raw.chunk));
  }
  if (!bytes.empty()) return wrong_sizes(sent);
  return request;
}

Result<LogsRequest> decode_logs_request(const Value& body) {
  std::vector<LogChunk> chunks;
  Result<LogsRequest> request = read_request(body, chunks, read_chunk);
  if (request.ok()) request->chunks = std::move(chunks);
  return request;
}

}  // namespace mc::wire
