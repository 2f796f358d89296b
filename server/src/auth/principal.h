// Who asks, and what a role may do. Pure values; tokens are checked in auth/token.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mc::auth {

// viewer reads; operator also starts, cancels, re-runs, approves and deletes runs; admin does
// everything; worker speaks the worker protocol and nothing else.
enum class Role : std::uint8_t { viewer, operator_, admin, worker };
std::string_view to_name(Role role);  // "viewer", "operator", "admin", "worker"
std::optional<Role> role_from_name(std::string_view name);

// What a route asks for.
enum class Permission : std::uint8_t { open, read, operate, administer, work };
bool allows(Role role, Permission permission);

struct Principal {
  std::string name;  // the token's name: "admin", "ci", …
  Role role = Role::viewer;
  std::string project;  // the only project it may touch
  std::vector<std::string> groups;
  std::string token_id;
};

}  // namespace mc::auth
