#include "model/event.h"

namespace mc {
std::string_view type_of(const Event& event) {
  return std::visit([](const auto& body) { return std::decay_t<decltype(body)>::kType; },
                    event.body);
}
}  // namespace mc
