// Errors as values. One closed table gives every stable code its HTTP status, its exit code and its
// title; docs/reference/errors.md has a section for each (a test compares the two).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/check.h"

namespace mc {

// X(code, http_status, exit_code, title). Exit codes: docs/reference/cli.md.
#define MC_ERROR_CODES(X)                                                              \
  X(malformed_request, 400, 2, "The request could not be read")                        \
  X(malformed_json, 400, 2, "The body is not valid JSON")                              \
  X(invalid_cursor, 400, 2, "The cursor is not one this list gave")                    \
  X(invalid_query, 400, 2, "The query could not be read")                              \
  X(invalid_id, 400, 2, "This is not an id")                                           \
  X(unauthenticated, 401, 4, "A valid token is needed")                                \
  X(token_expired, 401, 4, "The token has expired")                                    \
  X(forbidden, 403, 4, "The token's role does not allow this")                         \
  X(not_an_approver, 403, 4, "You are not among those who may decide this")            \
  X(not_found, 404, 6, "There is no such thing")                                       \
  X(run_not_found, 404, 6, "There is no such run")                                     \
  X(job_not_found, 404, 6, "There is no such job in this run")                         \
  X(workflow_not_found, 404, 6, "There is no such workflow")                           \
  X(worker_not_found, 404, 6, "This worker is not registered")                         \
  X(method_not_allowed, 405, 2, "This path does not take this method")                 \
  X(request_timeout, 408, 8, "The request took too long to arrive")                    \
  X(conflict, 409, 7, "Someone else changed this first")                               \
  X(run_final, 409, 7, "The run is over")                                              \
  X(run_not_final, 409, 7, "The run is not over yet")                                  \
  X(run_key_in_use, 409, 7, "A run with this key is open")                             \
  X(effects_would_repeat, 409, 7, "A re-run would repeat effects on the outside")      \
  X(already_decided, 409, 7, "This approval is decided, or you have decided already")  \
  X(idempotency_in_flight, 409, 7, "The first request with this key is still in work") \
  X(concurrency_rejected, 409, 7, "The concurrency group is full and rejects more")    \
  X(workflow_in_use, 409, 7, "The workflow has open runs")                             \
  X(worker_name_taken, 409, 7, "Another worker has this name")                         \
  X(fenced, 409, 7, "This lease was given to someone else")                            \
  X(precondition_failed, 412, 7, "The thing has changed since you read it")            \
  X(too_large, 413, 2, "The body is too large")                                        \
  X(range_not_satisfiable, 416, 2, "There are no such bytes")                          \
  X(unsupported_media_type, 415, 2, "This content type is not taken here")             \
  X(unknown_field, 422, 2, "The body has a field that is not known")                   \
  X(invalid_field, 422, 2, "A field has a wrong value")                                \
  X(missing_field, 422, 2, "A field is missing")                                       \
  X(invalid_definition, 422, 2, "The workflow definition has errors")                  \
  X(invalid_input, 422, 2, "The inputs do not fit the workflow")                       \
  X(invalid_expression, 422, 2, "An expression is wrong")                              \
  X(idempotency_key_reused, 422, 2, "This idempotency key came with another body")     \
  X(limit_exceeded, 422, 2, "A limit is exceeded")                                     \
  X(header_too_large, 431, 2, "The request head is too large")                         \
  X(rate_limited, 429, 8, "Too many requests")                                         \
  X(too_many_runs, 429, 8, "Too many runs are open")                                   \
  X(internal, 500, 8, "Something went wrong inside")                                   \
  X(store_failed, 503, 8, "The store cannot take writes")                              \
  X(schema_unfit, 503, 8, "The schema of the database is none this build can work on") \
  X(shutting_down, 503, 8, "The server is stopping")                                   \
  X(overloaded, 503, 8, "The server has too much to do")                               \
  X(usage, 422, 2, "The command line is wrong")                                        \
  X(invalid_setting, 422, 2, "A setting is wrong")                                     \
  X(data_folder, 503, 8, "The data folder cannot be used")                             \
  X(unreachable, 503, 8, "The server cannot be reached")                               \
  X(unavailable, 503, 8, "What this needs is not on this machine")

enum class Code : std::uint8_t {
#define X(code, status, exit, title) code,
  MC_ERROR_CODES(X)
#undef X
};

// `code_name(Code::run_final)` is "run_final": what the API shows as `code`.
std::string_view code_name(Code code);
std::string_view code_title(Code code);
int http_status(Code code);
int exit_code(Code code);
// The code with this name, or `fallback`.
Code code_from_name(std::string_view name, Code fallback);

// One thing wrong with a text: where (1-based; 0: nowhere in particular), what, and how to mend it.
struct Problem {
  int line = 0;
  int column = 0;
  std::string code;     // stable, e.g. "unknown_key"
  std::string message;  // one sentence
  std::string hint;     // "did you mean `steps`?", or empty
  bool operator==(const Problem&) const = default;
};

struct Error {
  Code code = Code::internal;
  std::string message;            // what is wrong and, where it helps, how to mend it
  std::vector<Problem> problems;  // for definitions, inputs and bodies: every problem found
};

// A value or an Error. Requires: ok() before `*` or `->`, !ok() before error() (checked).
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(value()); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  T& value() {
    MC_CHECK(ok());
    return *std::get_if<0>(&state_);
  }
  const T& value() const {
    MC_CHECK(ok());
    return *std::get_if<0>(&state_);
  }
  const Error& error() const {
    MC_CHECK(!ok());
    return *std::get_if<1>(&state_);
  }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)), ok_(false) {}
  bool ok() const { return ok_; }
  explicit operator bool() const { return ok_; }
  const Error& error() const {
    MC_CHECK(!ok_);
    return error_;
  }

 private:
  Error error_;
  bool ok_ = true;
};

using Status = Result<void>;

}  // namespace mc
