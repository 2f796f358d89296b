// From bytes to a Request that can be trusted: Beast reads the head, and before and behind it come
// the checks that it leaves out. No socket, no clock; fuzzed (request_fuzz.cc).
//
// What is refused here although Beast lets it through, because proxies and servers that disagree
// about it let requests be smuggled: Transfer-Encoding that is not exactly "chunked" or comes with
// HTTP/1.0 or Content-Length, a missing, repeated or odd Host, a Content-Length that is repeated or
// a list, folded header lines, absolute-form targets, bytes that are not visible ASCII in the
// target, long chunk extensions.
#pragma once

#include <boost/beast/http/basic_parser.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "http/chunk_reader.h"
#include "http/message.h"

namespace mc::http {

// What the head says about the rest of the exchange.
struct Framing {
  bool http_11 = true;
  bool keep_alive = true;
  bool head_only = false;         // was a HEAD
  bool expects_continue = false;  // waits for "100 Continue" before it sends the body
  bool chunked = false;
  std::optional<std::uint64_t> content_length;
};

// Reads one request after the other. Single owner.
class RequestReader {
 public:
  enum class State : std::uint8_t { head, body, done, failed };

  explicit RequestReader(std::uint32_t head_bytes_max) : head_bytes_max_(head_bytes_max) {}

  // Ready for the next request.
  void reset();
  // Takes what it can use of `bytes` and returns how much that was. A head is taken whole or not at
  // all: until it is complete, pass everything that has come again. Stops between head and body.
  // Requires: state() is head or body.
  std::size_t feed(std::string_view bytes);
  State state() const { return state_; }
  // Requires: failed. Codes: malformed_request, header_too_large, too_large.
  const Error& error() const { return error_; }

  // Requires: the head is read.
  Request& request() { return request_; }
  const Framing& framing() const { return framing_; }
  // Sets the largest body, before any of it is fed; fails (too_large) when the head already says
  // more. A body is appended to request().body, from which the caller may take it piece by piece.
  void limit_body(std::uint64_t bytes_max);

 private:
  class Parser;
  friend class Parser;
  class Parser final : public boost::beast::http::basic_parser<true> {
   public:
    explicit Parser(RequestReader& reader) : reader_(reader) { body_limit(boost::none); }

   private:
    using error_code = boost::beast::error_code;
    using string_view = boost::beast::string_view;
    using field = boost::beast::http::field;
    void on_request_impl(boost::beast::http::verb, string_view method, string_view target,
                         int version, error_code& ec) override;
    void on_response_impl(int, string_view, int, error_code&) override {}
    void on_field_impl(field name, string_view text, string_view value, error_code& ec) override;
    void on_header_impl(error_code& ec) override;
    // Bodies are read without Beast.
    void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
    std::size_t on_body_impl(string_view, error_code&) override { return 0; }
    void on_chunk_header_impl(std::uint64_t, string_view, error_code&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, string_view, error_code&) override { return 0; }
    void on_finish_impl(error_code&) override {}
    RequestReader& reader_;
  };
  // How often the headers that decide about framing have come.
  struct Counts {
    int host = 0, content_length = 0, transfer_encoding = 0, authorization = 0;
  };

  std::size_t feed_head(std::string_view bytes);
  std::size_t feed_body(std::string_view bytes);
  std::optional<std::size_t> scan_head(std::string_view bytes);
  bool note_field(boost::beast::http::field name, std::string_view value);
  Status check_framing() const;
  void fail(Code code, std::string why);

  const std::uint32_t head_bytes_max_;
  State state_ = State::head;
  std::size_t line_at_ = 0;      // where the first unfinished line of the head begins
  std::uint64_t body_left_ = 0;  // of a Content-Length
  std::optional<ChunkReader> chunks_;
  Counts counts_;
  Framing framing_;
  Request request_;
  Error error_;
};

}  // namespace mc::http
