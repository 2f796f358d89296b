// The folders of one task, all under data/work/<short name>, removed with the object.
#pragma once

#include <string>

#include "base/error.h"

namespace mc::worker {

class Workspace {
 public:
  // Errors: store_failed.
  static Result<Workspace> create(const std::string& data, const std::string& task_id);
  Workspace(Workspace&& other) noexcept;
  Workspace& operator=(Workspace&&) = delete;
  ~Workspace();

  std::string files() const { return folder_ + "/ws"; }       // where steps run
  std::string temp() const { return folder_ + "/tmp"; }       // TMPDIR
  std::string exchange() const { return folder_ + "/io"; }    // scripts and MAESTRO_* files
  std::string artifacts() const { return folder_ + "/art"; }  // MAESTRO_ARTIFACTS_DIR
  std::string services() const { return folder_ + "/svc"; }   // a folder a service in it
  // Of the worker's own, beside the job's: a sandbox or container does not see it. Made when it is
  // needed.
  std::string own() const { return folder_ + ".own"; }
  const std::string& folder() const { return folder_; }  // all that the job may write

 private:
  explicit Workspace(std::string folder) : folder_(std::move(folder)) {}
  std::string folder_;  // empty: moved from
};

// Removes a tree whatever the modes in it. Errors: store_failed.
Status remove_tree(const std::string& path);

// Removes what tasks of an earlier life of this worker left in data/work.
void sweep_workspaces(const std::string& data);

}  // namespace mc::worker
