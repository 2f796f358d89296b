// A copy of the API server's objects of one kind, kept by list and watch. Pure: it says what to ask
// next and takes the answers.
//
// list (page by page) → watch from the list's version → events and bookmarks move the version on →
// the stream ends now and then: watch again from there. When the server has forgotten the version
// (410, as a status or as an event), all is listed again.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/value.h"

namespace mc::kube {

inline constexpr std::size_t kWatchLineMax = 8 << 20;  // objects have at most 1.5 MiB in etcd
inline constexpr int kWatchSeconds = 240;              // the server ends a watch after this

class Mirror {
 public:
  // `path` of the collection, "/api/v1/namespaces/n/pods"; `selector` of labels, "a=b,c=d".
  Mirror(std::string path, const std::string& selector);

  // What to GET now, and whether that is a watch: a stream for feed(); else an answer for listed().
  std::string next_path() const;
  bool watching() const { return watching_; }

  // A page of the list. Errors: invalid_field (it is none); nothing is changed then.
  Status listed(const Value& page);
  // Any bytes of a watch, cut anywhere. False: what follows cannot be used, end the stream.
  bool feed(std::string_view bytes);
  // The stream has ended, however it did: half a line is dropped.
  void ended() { line_.clear(); }
  // The request was refused with this HTTP status.
  void refused(int status);

  // By name. Only whole once a list has been read to its end.
  const std::map<std::string, Value>& objects() const { return objects_; }
  bool complete() const { return complete_; }
  // Grows with every change of objects().
  std::size_t changes() const { return changes_; }
  const std::string& version() const { return version_; }

 private:
  bool heed(std::string_view line);
  bool apply(const std::string& type, const Value& object);
  void start_over();

  std::string path_, selector_;
  std::map<std::string, Value> objects_, page_;  // page_: of the list under way
  std::string version_, continue_, line_;
  std::size_t changes_ = 0;
  bool watching_ = false, complete_ = false;
};

}  // namespace mc::kube
