// Requests and responses as plain values. docs/reference/api.md says what travels in them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mc::http {

struct Header {
  std::string name;
  std::string value;
};

struct Request {
  std::string method;
  std::string target;                                      // as sent
  std::string path;                                        // percent-decoded; no dot segments
  std::vector<std::pair<std::string, std::string>> query;  // decoded, in order
  std::vector<Header> headers;
  std::string body;
  std::string remote;
  std::string request_id;

  const std::string* header(std::string_view name) const;  // names in any case; the first
  const std::string* query_value(std::string_view name) const;
};

// Part of a file, sent from the disk.
struct FileBody {
  std::string path;
  std::int64_t offset = 0;
  std::int64_t length = 0;
};

// The open end of a streamed response. Any thread.
class StreamWriter {
 public:
  virtual ~StreamWriter() = default;
  // False: the peer is gone, or reads too slowly and was cut off (more than 1 MiB waiting).
  virtual bool write(std::string chunk) = 0;
  virtual void close() = 0;
  // Called once, when the stream ends for whatever reason.
  virtual void on_close(std::function<void()> closed) = 0;
};

struct Response {
  int status = 200;
  std::string content_type;
  std::vector<Header> headers;
  std::string body;
  std::optional<FileBody> file;
  // Called once the head is sent; what it writes is sent as chunks.
  std::function<void(std::shared_ptr<StreamWriter>)> stream;
};

}  // namespace mc::http
