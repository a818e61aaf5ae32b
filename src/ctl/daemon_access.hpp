// How the pages of a part are asked for: what the operator said, else what the daemons' own files say.
#pragma once

#include "common/core/result.hpp"
#include "ctl/access_options.hpp"
#include "ctl/core/host_plan.hpp"

namespace svc::ctl {

/// A token file of a daemon that may not be read counts as none. Error: a file of `options`, or the authorities, cannot be used.
[[nodiscard]] Result<Pages> pages_of(const Part& part, const AccessOptions& options);

}  // namespace svc::ctl
