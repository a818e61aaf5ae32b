// Is a process the one that was started as a part of a deployment? A PID alone says nothing: it is used again.
#pragma once

#include <string>
#include <string_view>

namespace svc::ctl {

/// The variable that every part is started with, and its value: which part of which deployment it is. Whatever the part
/// starts inherits it, so it alone does not tell the part from its children.
inline constexpr std::string_view kPartVariable = "INFINILM_PART";
/// "/srv/infinilm/logs/registry": the PID file without its ending.
[[nodiscard]] std::string part_marker(std::string_view pid_file);

/// Texts of /proc/PID.
struct ProcessTexts {
  std::string exe;      ///< what /proc/PID/exe leads to
  std::string cmdline;  ///< words that end in NUL
  std::string environ;  ///< NAME=value, each ending in NUL
};

/// `program`: the base name of the binary. Replaced binaries (an upgrade) count: the kernel then says "(deleted)". A child that
/// runs the same binary in another role has another first word.
[[nodiscard]] bool is_part(const ProcessTexts& process, std::string_view program, std::string_view marker);

/// A PID file holds one number, and perhaps a line end. 0: it does not.
[[nodiscard]] int parse_pid(std::string_view text);

}  // namespace svc::ctl
