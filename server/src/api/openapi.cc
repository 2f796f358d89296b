// The description of the API: paths from the table of routes, schemas as they stand below.
#include <algorithm>

#include "api/api.h"
#include "api/openapi_schemas.h"
#include "api/route.h"
#include "base/json.h"
#include "base/text.h"

namespace mc::api {
namespace {
constexpr std::string_view kIntegers[] = {"limit",         "after",        "attempt", "tail",
                                          "offset",        "count",        "version", "fence",
                                          "Upload-Offset", "Upload-Length"};
constexpr std::string_view kRequired[] = {"task_id", "fence"};

template <std::size_t N>
bool among(const std::string_view (&names)[N], std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

void write_parameter(JsonWriter& out, std::string_view name, std::string_view where,
                     bool required) {
  out.open('{').field("name", name).field("in", where).field("required", required);
  out.key("schema").open('{');
  out.field("type", among(kIntegers, name) ? "integer" : "string").close('}').close('}');
}

void write_parameters(JsonWriter& out, const Route& route) {
  out.key("parameters").open('[');
  for (const std::string& segment : split(route.pattern, '/')) {
    if (segment.starts_with('{'))
      write_parameter(out, std::string_view(segment).substr(1, segment.size() - 2), "path", true);
  }
  if (!route.details.query.empty()) {
    for (const std::string& name : split(route.details.query, ','))
      write_parameter(out, name, "query", among(kRequired, name));
  }
  if (!route.details.headers.empty()) {
    for (const std::string& name : split(route.details.headers, ','))
      write_parameter(out, name, "header", true);
  }
  if (route.details.idempotent_key) write_parameter(out, "Idempotency-Key", "header", false);
  out.close(']');
}

void write_schema(JsonWriter& out, std::string_view name) {
  out.key("schema").open('{').field("$ref", "#/components/schemas/" + std::string(name));
  out.close('}');
}

void write_request(JsonWriter& out, const Route& route) {
  if (route.details.takes == Takes::nothing) return;
  const bool yaml = route.details.takes == Takes::yaml;
  const bool bytes = route.details.takes == Takes::bytes;
  out.key("requestBody").open('{').field("required", !route.details.request.empty() || bytes);
  out.key("content").open('{');
  out.key(yaml ? "application/yaml" : bytes ? "application/octet-stream" : "application/json");
  out.open('{');
  if (!route.details.request.empty()) write_schema(out, route.details.request);
  out.close('}');
  if (route.details.or_bytes) out.key("application/octet-stream").open('{').close('}');
  out.close('}').close('}');
}

void write_good_response(JsonWriter& out, const Route& route, int status) {
  out.key(std::to_string(status)).open('{').field("description", route.summary);
  if (!route.details.response.empty()) {
    out.key("content").open('{').key("application/json").open('{');
    write_schema(out, route.details.response);
    out.close('}').close('}');
  }
  out.close('}');
}

void write_responses(JsonWriter& out, const Route& route) {
  out.key("responses").open('{');
  write_good_response(out, route, route.details.status);
  if (route.details.also != 0) write_good_response(out, route, route.details.also);
  out.key("default").open('{').field("description", "An error");
  out.key("content").open('{').key("application/problem+json").open('{');
  write_schema(out, "Problem");
  out.close('}').close('}').close('}').close('}');
}

void write_operation(JsonWriter& out, const Route& route) {
  out.key(to_lower(route.method)).open('{');
  out.field("operationId", route.operation).field("summary", route.summary);
  const std::vector<std::string> parts = split(route.pattern, '/');
  const bool api = parts.size() > 3 && parts[1] == "api";
  out.key("tags").open('[').item(api ? parts[3] : "probes").close(']');
  if (route.permission == auth::Permission::open) out.key("security").open('[').close(']');
  constexpr std::string_view kPermissions[] = {"open", "read", "operate", "administer", "work"};
  out.field("x-permission", kPermissions[static_cast<std::size_t>(route.permission)]);
  out.field("x-body-max", static_cast<std::int64_t>(route.details.body_max));
  write_parameters(out, route);
  write_request(out, route);
  write_responses(out, route);
  out.close('}');
}
}  // namespace

std::string openapi_json(const std::string& version) {
  JsonWriter out;
  out.open('{').field("openapi", "3.1.0").key("info").open('{');
  out.field("title", "Maestro Conductor").field("version", version);
  out.field("description",
            "Times are RFC 3339 in UTC, durations integers of milliseconds, ids UUIDv7. Unknown "
            "request fields are refused.");
  out.close('}').key("security").open('[').open('{').key("token").open('[').close(']').close('}');
  out.close(']').key("paths").open('{');
  std::vector<std::string_view> written;
  for (const Route& first : routes()) {
    if (first.details.alias ||
        std::find(written.begin(), written.end(), first.pattern) != written.end()) {
      continue;
    }
    written.push_back(first.pattern);
    out.key(first.pattern).open('{');
    for (const Route& route : routes()) {
      if (route.pattern == first.pattern && !route.details.alias) write_operation(out, route);
    }
    out.close('}');
  }
  out.close('}').key("components").open('{').key("securitySchemes").open('{').key("token");
  out.open('{').field("type", "http").field("scheme", "bearer").close('}').close('}');
  out.key("schemas").raw(schemas_json());
  return out.close('}').close('}').take();
}
}  // namespace mc::api
