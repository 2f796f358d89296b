#include "kube/mirror.h"

#include "base/json.h"
#include "base/text.h"

namespace mc::kube {
namespace {
constexpr int kPage = 500;
constexpr int kExpired = 410;

std::string meta(const Value& object, std::string_view name) {
  const Value* metadata = object.find("metadata");
  return metadata == nullptr ? std::string() : metadata->string_or(name, "");
}
}  // namespace

Mirror::Mirror(std::string path, const std::string& selector)
    : path_(std::move(path)), selector_(percent_encode(selector)) {}

std::string Mirror::next_path() const {
  std::string path = path_ + "?labelSelector=" + selector_;
  if (watching_) {
    return path +
           "&watch=true&allowWatchBookmarks=true&timeoutSeconds=" + std::to_string(kWatchSeconds) +
           "&resourceVersion=" + percent_encode(version_);
  }
  path += "&limit=" + std::to_string(kPage);
  if (!continue_.empty()) path += "&continue=" + percent_encode(continue_);
  return path;
}

Status Mirror::listed(const Value& page) {
  const Value* items = page.find("items");
  const std::string version = meta(page, "resourceVersion");
  if (items == nullptr || !(items->is_list() || items->is_null()) || version.empty())
    return Error{Code::invalid_field, "the API server's list is none", {}};
  if (items->is_list()) {
    for (const Value& item : items->as_list()) page_[meta(item, "name")] = item;
  }
  continue_ = meta(page, "continue");
  if (!continue_.empty()) return {};
  objects_ = std::move(page_);
  page_.clear();
  version_ = version;
  watching_ = complete_ = true;
  ++changes_;
  return {};
}

bool Mirror::feed(std::string_view bytes) {
  while (!bytes.empty() && watching_) {
    const std::size_t end = bytes.find('\n');
    const std::string_view part = bytes.substr(0, end);
    if (line_.size() + part.size() > kWatchLineMax) {
      start_over();
      return false;
    }
    line_ += part;
    if (end == std::string_view::npos) return true;
    bytes.remove_prefix(end + 1);
    const std::string line = std::exchange(line_, {});
    if (!trim(line).empty() && !heed(line)) return false;
  }
  return watching_;
}

// An event that cannot be read may have been a change: only a new list makes the copy true again.
bool Mirror::heed(std::string_view line) {
  const auto event = parse_json(line);
  const Value* object = event.ok() ? event->find("object") : nullptr;
  if (object != nullptr && object->is_object() && apply(event->string_or("type", ""), *object))
    return true;
  start_over();
  return false;
}

bool Mirror::apply(const std::string& type, const Value& object) {
  const std::string version = meta(object, "resourceVersion");
  const std::string name = meta(object, "name");
  if (version.empty()) return false;  // ERROR carries a Status, which has none
  if (type == "BOOKMARK") {
    version_ = version;
    return true;
  }
  if (name.empty()) return false;
  if (type == "ADDED" || type == "MODIFIED") {
    objects_[name] = object;
  } else if (type == "DELETED") {
    objects_.erase(name);
  } else {
    return false;
  }
  version_ = version;
  ++changes_;
  return true;
}

// A page's token, or the version, is too old; other refusals are tried again as they are.
void Mirror::refused(int status) {
  if (status == kExpired) start_over();
}

// What was known stays visible until the new list is whole.
void Mirror::start_over() {
  watching_ = false;
  page_.clear();
  continue_.clear();
  line_.clear();
}

}  // namespace mc::kube
