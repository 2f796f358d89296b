#include "http/request_reader.h"

#include <algorithm>
#include <cstring>

#include "base/text.h"
#include "http/target.h"

namespace mc::http {
namespace {
namespace beast = boost::beast;
constexpr std::size_t kHeadersMax = 200;
constexpr std::uint64_t kReserveMax = 1 << 20;  // memory taken on the word of a Content-Length

std::string_view view(beast::string_view text) { return {text.data(), text.size()}; }

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_host(std::string_view value) {
  const auto fine = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::strchr("-._~:[]%!$&'()*+,;=", c) != nullptr;
  };
  return !value.empty() && value.find('\0') == std::string_view::npos &&
         std::all_of(value.begin(), value.end(), fine);
}

bool has_control(std::string_view line) {
  const auto control = [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
  };
  return std::any_of(line.begin(), line.end(), control);
}
}  // namespace

void RequestReader::Parser::on_request_impl(beast::http::verb, string_view method,
                                            string_view target, int version, error_code& ec) {
  Request& request = reader_.request_;
  reader_.framing_.http_11 = version == 11;
  reader_.framing_.head_only = view(method) == "HEAD";
  request.head_only = reader_.framing_.head_only;
  request.method = request.head_only ? std::string_view("GET") : view(method);
  if (const Status read = read_target(view(target), request); !read) {
    reader_.error_ = read.error();
    ec = beast::http::error::bad_target;
  }
}

void RequestReader::Parser::on_field_impl(field name, string_view text, string_view value,
                                          error_code& ec) {
  if (reader_.request_.headers.size() == kHeadersMax) {
    reader_.error_ = Error{Code::header_too_large, "the head has too many headers", {}};
    ec = beast::http::error::header_limit;
  } else if (!reader_.note_field(name, view(value))) {
    ec = beast::http::error::bad_value;
  } else {
    reader_.request_.headers.push_back({std::string(text), std::string(value)});
  }
}

void RequestReader::Parser::on_header_impl(error_code& ec) {
  if (const Status fine = reader_.check_framing(); !fine) {
    reader_.error_ = fine.error();
    ec = beast::http::error::bad_value;
  }
}

// False (with error_ set) when the value alone is already wrong.
bool RequestReader::note_field(beast::http::field name, std::string_view value) {
  const char* wrong = nullptr;
  if (name == beast::http::field::host) {
    ++counts_.host;
    if (!is_host(value)) wrong = "the Host header is not a host";
  } else if (name == beast::http::field::content_length) {
    ++counts_.content_length;
    if (value.empty() || value.size() > 18 || !std::all_of(value.begin(), value.end(), is_digit))
      wrong = "Content-Length is not one number";
  } else if (name == beast::http::field::transfer_encoding) {
    ++counts_.transfer_encoding;
    framing_.chunked = true;
    if (to_lower(value) != "chunked") wrong = "Transfer-Encoding: only chunked is taken";
  } else if (name == beast::http::field::authorization) {
    ++counts_.authorization;
  } else if (name == beast::http::field::expect) {
    framing_.expects_continue = to_lower(value) == "100-continue";
  }
  if (wrong != nullptr) error_ = Error{Code::malformed_request, wrong, {}};
  return wrong == nullptr;
}

Status RequestReader::check_framing() const {
  const char* wrong = nullptr;
  if (counts_.host > 1 || (counts_.host == 0 && framing_.http_11)) {
    wrong = "exactly one Host header is wanted";
  } else if (counts_.content_length > 1) {
    wrong = "Content-Length is repeated";
  } else if (counts_.authorization > 1) {
    wrong = "Authorization is repeated";
  } else if (counts_.transfer_encoding > 1) {
    wrong = "Transfer-Encoding is repeated";
  } else if (counts_.transfer_encoding == 1 && counts_.content_length == 1) {
    wrong = "Content-Length with Transfer-Encoding";
  } else if (counts_.transfer_encoding == 1 && !framing_.http_11) {
    wrong = "Transfer-Encoding with HTTP/1.0";
  }
  if (wrong != nullptr) return Error{Code::malformed_request, wrong, {}};
  return {};
}

void RequestReader::reset() {
  state_ = State::head;
  line_at_ = 0;
  body_left_ = 0;
  chunks_.reset();
  counts_ = {};
  framing_ = {};
  request_ = Request{};
  error_ = {};
}

void RequestReader::fail(Code code, std::string why) {
  state_ = State::failed;
  error_ = Error{code, std::move(why), {}};
}

std::size_t RequestReader::feed(std::string_view bytes) {
  if (bytes.empty()) return 0;
  return state_ == State::head ? feed_head(bytes) : feed_body(bytes);
}

// Where the head ends, if it has ended. Looks at lines as Beast does not: it unfolds what we
// refuse.
std::optional<std::size_t> RequestReader::scan_head(std::string_view bytes) {
  if (!std::isalpha(static_cast<unsigned char>(bytes[0]))) {
    fail(Code::malformed_request, "this is not an HTTP/1.1 request");
    return std::nullopt;
  }
  while (line_at_ < bytes.size()) {
    const std::size_t end = bytes.find('\n', line_at_);
    if (end == std::string_view::npos) break;
    if (end == line_at_ || bytes[end - 1] != '\r') {
      fail(Code::malformed_request, "a line of the head does not end with CR LF");
      return std::nullopt;
    }
    const std::string_view line = bytes.substr(line_at_, end - 1 - line_at_);
    const bool first = line_at_ == 0;
    line_at_ = end + 1;
    if (line.empty()) return line_at_;
    if (!first && (line[0] == ' ' || line[0] == '\t')) {
      fail(Code::malformed_request, "a header is folded over two lines");
      return std::nullopt;
    }
    if (has_control(line)) {
      fail(Code::malformed_request, "the head has control characters");
      return std::nullopt;
    }
  }
  if (bytes.size() > head_bytes_max_)
    fail(Code::header_too_large,
         "the head has more than " + std::to_string(head_bytes_max_) + " bytes");
  return std::nullopt;
}

std::size_t RequestReader::feed_head(std::string_view bytes) {
  const std::optional<std::size_t> end = scan_head(bytes);
  if (!end) return 0;
  if (*end > head_bytes_max_) {
    fail(Code::header_too_large,
         "the head has more than " + std::to_string(head_bytes_max_) + " bytes");
    return 0;
  }
  Parser parser(*this);
  parser.header_limit(head_bytes_max_ + 1);
  beast::error_code error;
  const std::size_t used = parser.put({bytes.data(), *end}, error);
  if (error || !parser.is_header_done()) {
    if (error_.message.empty())
      error_ = Error{Code::malformed_request, "the head is malformed: " + error.message(), {}};
    state_ = State::failed;
    return used;
  }
  framing_.keep_alive = framing_.http_11 && parser.keep_alive();
  if (const auto length = parser.content_length()) framing_.content_length = *length;
  state_ = framing_.chunked || framing_.content_length.value_or(0) > 0 ? State::body : State::done;
  return used;
}

void RequestReader::limit_body(std::uint64_t bytes_max) {
  if (state_ != State::body) return;
  if (framing_.chunked) {
    chunks_.emplace(bytes_max);
    return;
  }
  body_left_ = *framing_.content_length;
  if (body_left_ > bytes_max) {
    fail(Code::too_large, "the body has " + std::to_string(body_left_) + " bytes; at most " +
                              std::to_string(bytes_max) + " are taken");
    return;
  }
  request_.body.reserve(static_cast<std::size_t>(std::min(body_left_, kReserveMax)));
}

std::size_t RequestReader::feed_body(std::string_view bytes) {
  if (!chunks_) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(body_left_, bytes.size()));
    request_.body.append(bytes.substr(0, size));
    body_left_ -= size;
    if (body_left_ == 0) state_ = State::done;
    return size;
  }
  const std::size_t used = chunks_->feed(bytes, request_.body);
  if (chunks_->state() == ChunkReader::State::done) {
    state_ = State::done;
  } else if (chunks_->state() == ChunkReader::State::malformed) {
    fail(Code::malformed_request, "the chunks of the body are malformed");
  } else if (chunks_->state() == ChunkReader::State::too_large) {
    fail(Code::too_large, "the body has more bytes than are taken");
  }
  return used;
}

}  // namespace mc::http
