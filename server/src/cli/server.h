// JSON calls to a server over any Transport. What the server answers with an error becomes an Error
// with its code; `request_id` names the last answer for bug reports.
//
// A server that is there and cannot serve for the moment (a replica whose leader fell, one that
// starts over) is a pause to those who create something, or wait for it: they ask again.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/value.h"
#include "client/transport.h"

namespace mc::cli {

// Whether the same call may go well in a moment.
bool is_passing(const Error& error);

class Server {
 public:
  explicit Server(std::unique_ptr<client::Transport> transport);

  Result<Value> get(const std::string& path, Millis timeout = Millis(30'000));
  // A list with the items of all its pages.
  Result<Value> get_all(const std::string& path);
  Result<Value> post(const std::string& path, const Value& body);
  // As post, with an Idempotency-Key of its own: sent again a few times when nobody answers, and
  // for 20 s once a server, or a proxy before it, has said that it cannot be served at the moment.
  Result<Value> create(const std::string& path, const Value& body);
  Result<Value> put_text(const std::string& path, const std::string& text);
  Result<Value> put(const std::string& path, const Value& body);
  Status remove(const std::string& path);
  // Any status is an Answer here.
  Result<client::Answer> send(const client::Call& call);
  // The Error that a problem+json answer stands for. Requires: status >= 400.
  static Error problem_of(const client::Answer& answer);

  const std::string& request_id() const { return request_id_; }
  int last_status() const { return last_status_; }

 private:
  Result<Value> call(const client::Call& call);
  static Result<Value> value_of(const Result<client::Answer>& answer);
  std::unique_ptr<client::Transport> transport_;
  std::string request_id_;
  int last_status_ = 0;
};

}  // namespace mc::cli
