// One row of the table of routes: what a path takes, who may call it, and who answers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "auth/principal.h"
#include "http/message.h"

namespace mc::api {

struct Call;
struct World;
// Shared: a call lives until its last continuation has let go of it.
using CallPtr = std::shared_ptr<Call>;
using Handler = void (*)(const CallPtr& call);

enum class Takes : std::uint8_t { nothing, json, yaml, bytes };
enum class Rate : std::uint8_t { none, api };

inline constexpr std::uint64_t kSmallBody = 64 << 10;
inline constexpr std::uint64_t kJsonBody = 1 << 20;
inline constexpr std::uint64_t kRunBody = 8 << 20;  // a definition of 1 MiB, escaped, and inputs
inline constexpr std::uint64_t kWorkerBody = 64 << 20;  // results carry outputs and summaries
inline constexpr std::uint64_t kLogsBody = 16 << 20;
inline constexpr std::uint64_t kBlobBody = std::uint64_t{5} << 30;
inline constexpr std::uint64_t kPartBody = 64 << 20;

// What may be left out of a row.
struct Details {
  Takes takes = Takes::nothing;
  std::uint64_t body_max = kSmallBody;
  Rate rate = Rate::api;
  int status = 200;  // of a good answer
  int also = 0;      // of another: 201 where a PUT may create, 200 where a POST may not
  std::string_view request = {};   // schema of the body
  std::string_view response = {};  // schema of a good answer; empty: none, or text
  std::string_view query = {};     // names of query parameters, with commas between
  std::string_view headers = {};   // the same of headers that must be there, integers
  bool idempotent_key = false;     // takes Idempotency-Key
  bool or_bytes = false;           // takes application/octet-stream as well
  bool alias = false;              // another path to a row before it: not in the description
  // Takes the body piece by piece.
  std::shared_ptr<http::BodySink> (*sink)(const CallPtr& call) = nullptr;
};

struct Route {
  // A row without a permission does not compile.
  constexpr Route(std::string_view of_method, std::string_view of_pattern,
                  auth::Permission of_permission, Handler of_handler, std::string_view of_operation,
                  std::string_view of_summary, Details of_details = {})
      : method(of_method),
        pattern(of_pattern),
        permission(of_permission),
        handler(of_handler),
        operation(of_operation),
        summary(of_summary),
        details(of_details) {}

  std::string_view method;
  std::string_view pattern;  // "/api/v1/runs/{id}/jobs/{key}"
  auth::Permission permission;
  Handler handler;
  std::string_view operation;  // operationId of the description
  std::string_view summary;
  Details details;
};

std::span<const Route> routes();

// Where a request goes.
struct Match {
  const Route* route = nullptr;      // nullptr: no such path, or no such method on it
  std::size_t index = 0;             // of the route; routes().size() when there is none
  std::vector<std::string> params;   // decoded, in the order of the pattern
  std::vector<std::string> allowed;  // methods of the path; empty: there is no such path
  bool open = false;                 // some method of the path needs no token
};
// `target` as sent: segments are split before they are decoded, so that a %2F stays in its segment.
Match match(std::string_view method, std::string_view target);

}  // namespace mc::api
