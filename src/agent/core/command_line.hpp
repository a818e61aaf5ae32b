// From settings to the exact processes of an instance: one command per rank, arguments whole, no shell anywhere.
// Flags of the engines: InfiniLM's inference_server.py (current and legacy generation), xtask service, `vllm serve`,
// sglang.launch_server, llama-server, infinilm-sim.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/core/service_settings.hpp"
#include "common/core/result.hpp"

namespace svc::agent {

/// One process. `argv[0]` is the program: a path when it holds a '/', else looked up in PATH at launch.
struct RankCommand {
  std::vector<std::string> argv;
  Environment env;       ///< added to the agent's own
  std::string work_dir;  ///< "" = the agent's
  bool operator==(const RankCommand&) const = default;
};

/// The ranks of one instance, in the order of their start; rank 0 answers HTTP.
/// ${PORT} ${HOST} ${NAME} ${RANK} are expanded in argv, env values and work_dir ("$${" is a literal "${"); another name in
/// ${...} is an error. What the user gave in `args` comes last and is never split or quoted.
/// Errors name the setting that is missing or wrong ("vllm needs 'path' (the model)").
[[nodiscard]] Result<std::vector<RankCommand>> command_lines(const ServiceSettings& settings);

/// Settings that were given a value other than their default, but that this kind of engine has no use for, by name.
[[nodiscard]] std::vector<std::string> unused_settings(const ServiceSettings& settings);

/// Where the ranks meet: master_port, else the engine's port + 10000 (or - 10000 beyond 65535).
[[nodiscard]] std::uint16_t rendezvous_port(const ServiceSettings& settings);

/// The address that an engine is told to listen on: the host itself when that is a loopback address, 127.0.0.1 when it is
/// localhost, else all addresses of the host's family.
[[nodiscard]] std::string listen_address(const ServiceSettings& settings);

/// One text for people: words that need it are quoted as a POSIX shell would.
[[nodiscard]] std::string printable(const std::vector<std::string>& argv);

}  // namespace svc::agent
