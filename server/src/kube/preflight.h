// What has to be true before a worker takes jobs for a cluster.
#pragma once

#include <string>

#include "base/error.h"
#include "kube/api.h"

namespace mc::kube {

// Asks the API server whether it is there, knows us, lets us do what is needed in `namespace_name`
// (SelfSubjectAccessReview, one a verb) and has that namespace (a Secret that is created only for
// show). Errors say what is wrong and how to mend it: unreachable, unauthenticated, forbidden
// (naming every verb and resource that is missing), not_found.
Status check_cluster(Api& api, const std::string& namespace_name);

}  // namespace mc::kube
