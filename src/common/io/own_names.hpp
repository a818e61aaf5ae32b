// What this machine is called, to find its services in a list of several machines'.
#pragma once

#include <string>
#include <vector>

namespace svc {

/// localhost, the host name, its full name if there is another, and every address of an interface that is up (without
/// link-local ones). Blocks: it asks the resolver for the full name.
[[nodiscard]] std::vector<std::string> own_names();

}  // namespace svc
