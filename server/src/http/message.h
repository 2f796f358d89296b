// Requests and responses as plain values. docs/reference/api.md says what travels in them.
#pragma once

#include <atomic>
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

// Whether two names of headers are the same: in any case.
bool same_name(std::string_view a, std::string_view b);

class BodySink;

struct Request {
  std::string method;      // HEAD arrives as GET
  bool head_only = false;  // was a HEAD: of the answer's body only the length is sent
  std::string target;      // as sent
  std::string path;        // percent-decoded; no dot segments
  std::vector<std::pair<std::string, std::string>> query;  // decoded, in order
  std::vector<Header> headers;
  std::string body;  // empty when a sink took it
  std::string remote;
  std::string request_id;
  std::shared_ptr<BodySink> sink;                 // the one that admit() gave for the body
  std::shared_ptr<const std::atomic<bool>> gone;  // true once the client has hung up

  const std::string* header(std::string_view name) const;  // names in any case; the first
  const std::string* query_value(std::string_view name) const;
  bool client_gone() const { return gone != nullptr && gone->load(std::memory_order_relaxed); }
};

// Part of a file, sent from the disk. The file has at least `offset + length` bytes until it is
// sent; if it does not, the connection is cut, so that nobody takes a part for the whole.
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
  // Ends the response after what was written. The connection may serve further requests.
  virtual void close() = 0;
  // Called once, when the stream ends for whatever reason; at once when it has ended already. Runs
  // on the connection's thread and must not block.
  virtual void on_close(std::function<void()> closed) = 0;
};

struct Response {
  int status = 200;
  std::string content_type;
  std::vector<Header> headers;
  std::string body;
  std::optional<FileBody> file;
  // Called once the head is on its way, on the connection's thread; what it writes is sent as
  // chunks.
  std::function<void(std::shared_ptr<StreamWriter>)> stream;
};

// Takes a large body piece by piece, so that it is never whole in memory. Pieces come in order, one
// at a time; nothing more is read from the client until `next` is called, from any thread.
// Destroyed without a call of Handler::handle when the client gives up half way.
class BodySink {
 public:
  // Empty: go on. A response ends the exchange: it is sent, and the rest of the body is not read.
  using Next = std::function<void(std::optional<Response> refusal)>;
  virtual ~BodySink() = default;
  // Called on the connection's thread; must not block.
  virtual void write(std::string piece, Next next) = 0;
};

}  // namespace mc::http
