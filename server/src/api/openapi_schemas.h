// Schemas of what travels, as OpenAPI 3.1 writes them. Written by hand; a test holds them against
// the table of routes and against what the server answers.
#pragma once

#include <string>

namespace mc::api {

std::string schemas_json();

}  // namespace mc::api
