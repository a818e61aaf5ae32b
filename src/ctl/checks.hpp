// The checks of `infinilm-ctl check`, by what they look at.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ctl/access_options.hpp"
#include "ctl/core/check_lines.hpp"
#include "ctl/host_options.hpp"

namespace svc::ctl {

/// Gets each line as it is found.
using TellCheck = std::function<void(CheckLine)>;

/// Are the daemons' binaries there, do they run, and are they of one version?
void check_binaries(const Host& host, const TellCheck& tell);
/// Every file of the folder, by the daemon that reads it: services of other hosts as well.
void check_files(const Host& host, const FolderFiles& files, const TellCheck& tell);
/// Is each port of this host's parts free, or open by the part itself?
void check_ports(const Host& host, const TellCheck& tell);
/// Does everybody reach whom it needs: the registry, static instances, the programs of engines?
void check_reach(const Host& host, const FolderFiles& files, const AccessOptions& access, const TellCheck& tell);
/// Space, and whether logs/ and data/ can be written.
void check_disk(const Host& host, const TellCheck& tell);

}  // namespace svc::ctl
