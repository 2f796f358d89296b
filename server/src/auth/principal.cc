#include "auth/principal.h"

namespace mc::auth {
std::string_view to_name(Role role) {
  switch (role) {
    case Role::viewer: return "viewer";
    case Role::operator_: return "operator";
    case Role::admin: return "admin";
    case Role::worker: return "worker";
  }
  return "";
}

std::optional<Role> role_from_name(std::string_view name) {
  for (const Role role : {Role::viewer, Role::operator_, Role::admin, Role::worker}) {
    if (to_name(role) == name) return role;
  }
  return std::nullopt;
}

bool allows(Role role, Permission permission) {
  switch (permission) {
    case Permission::open: return true;
    case Permission::read: return role != Role::worker;
    case Permission::operate: return role == Role::operator_ || role == Role::admin;
    case Permission::administer: return role == Role::admin;
    case Permission::work: return role == Role::worker || role == Role::admin;
  }
  return false;
}
}  // namespace mc::auth
