// Which host names have an address.
#pragma once

#include <set>
#include <string>

#include "common/core/clock.hpp"

namespace svc::ctl {

/// Those of `hosts` that the resolver knows no address for, or does not answer about within `timeout`. Addresses are
/// never among them. Blocking.
[[nodiscard]] std::set<std::string> names_without_address(const std::set<std::string>& hosts, Duration timeout);

}  // namespace svc::ctl
