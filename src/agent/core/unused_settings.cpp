// Which settings an engine kind has no use for: said, because a flag that silently does nothing is found late.
#include <algorithm>
#include <span>

#include "agent/core/command_line.hpp"

namespace svc::agent {
namespace {

using Names = std::span<const std::string_view>;

/// What goes into the kind's command line besides command, args, env and work_dir.
Names used_by(EngineKind kind, bool legacy) {
  static constexpr std::string_view kCurrent[] = {
      "path",        "launch_script", "flags",      "device",         "tp", "pp", "master_addr",
      "master_port", "max_batch",     "max_tokens", "paged_attention"};
  static constexpr std::string_view kLegacy[] = {"path",      "launch_script", "flags", "device",         "tp",
                                                 "max_batch", "max_tokens",    "awq",   "request_timeout"};
  static constexpr std::string_view kVllm[] = {"path", "tp", "pp"};
  static constexpr std::string_view kSglang[] = {"path", "tp"};
  static constexpr std::string_view kPath[] = {"path"};
  static constexpr std::string_view kSim[] = {"models"};
  static constexpr std::string_view kCommand[] = {"pp"};
  switch (kind) {
    case EngineKind::command: return kCommand;
    case EngineKind::infinilm: return legacy ? Names(kLegacy) : Names(kCurrent);
    case EngineKind::infinilm_rust:
    case EngineKind::llama_cpp: return kPath;
    case EngineKind::vllm: return kVllm;
    case EngineKind::sglang: return kSglang;
    case EngineKind::sim: return kSim;
  }
  return {};
}

}  // namespace

std::vector<std::string> unused_settings(const ServiceSettings& settings) {
  EngineKind kind{};
  if (!parse_engine_kind(settings.service_type, kind)) return {};
  const ServiceSettings plain;
  const std::pair<std::string_view, bool> changed[] = {
      {"path", settings.path != plain.path},
      {"launch_script", settings.launch_script != plain.launch_script},
      {"flags", settings.flags != plain.flags},
      {"device", settings.device != plain.device},
      {"tp", settings.tp != plain.tp},
      {"pp", settings.pp != plain.pp},
      {"master_addr", settings.master_addr != plain.master_addr},
      {"master_port", settings.master_port != plain.master_port},
      {"max_batch", settings.max_batch != plain.max_batch},
      {"max_tokens", settings.max_tokens != plain.max_tokens},
      {"request_timeout", settings.request_timeout_s != plain.request_timeout_s},
      {"paged_attention", settings.paged_attention != plain.paged_attention},
      {"awq", settings.awq != plain.awq},
      {"models", settings.models != plain.models},
  };
  const Names used = used_by(kind, settings.flags == "legacy");
  std::vector<std::string> unused;
  for (const auto& [name, differs] : changed) {
    if (differs && std::find(used.begin(), used.end(), name) == used.end()) unused.emplace_back(name);
  }
  return unused;
}

}  // namespace svc::agent
