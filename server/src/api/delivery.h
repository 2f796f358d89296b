// What webhooks of all senders have in common: a signature over the body and a name for each
// delivery.
#pragma once

#include <optional>
#include <string>

#include "api/call.h"

namespace mc::api {

std::string_view header_of(const Call& call, std::string_view name);  // "" when missing
// X-Hub-Signature-256, X-Maestro-Signature-256 or Standard Webhooks, with `secret`.
bool is_signed(const Call& call, const std::string& secret);
// What the sender calls this delivery; "" when it does not say.
std::string delivery_id(const Call& call);
// ?project=, else the default one.
std::string delivery_project(const Call& call);
// A second delivery of that name starts nothing for `workflow`; nothing when it has no name.
std::optional<conductor::Idempotency> delivery_key(const Call& call, const std::string& project,
                                                   const std::string& workflow);

}  // namespace mc::api
