#include "agent/core/command_line.hpp"

#include <array>

#include "agent/core/placeholders.hpp"
#include "common/core/endpoint.hpp"
#include "common/core/ip_address.hpp"
#include "common/core/words.hpp"

namespace svc::agent {
namespace {

using Argv = std::vector<std::string>;

constexpr std::uint16_t kRendezvousOffset = 10'000;

void add(Argv& argv, std::string_view flag, std::string value) {
  argv.emplace_back(flag);
  argv.push_back(std::move(value));
}
void add_text(Argv& argv, std::string_view flag, const std::string& value) {
  if (!value.empty()) add(argv, flag, value);
}
void add_count(Argv& argv, std::string_view flag, std::int64_t value) {
  if (value > 0) add(argv, flag, std::to_string(value));
}
void add_switch(Argv& argv, std::string_view flag, bool wanted) {
  if (wanted) argv.emplace_back(flag);
}

Error needs(EngineKind kind, std::string_view setting, std::string_view what) {
  return invalid(std::string(to_string(kind)) + " needs '" + std::string(setting) + "' (" + std::string(what) + ")");
}

/// The program: what `command` says, else the kind's own words.
Result<Argv> program(const ServiceSettings& s, Argv own) {
  if (s.command.empty()) return own;
  auto words = split_words(s.command);
  if (!words) return invalid("command " + words.error().message);
  if (words->empty() || words->front().empty()) return invalid("command must name a program");
  return words;
}

void add_address(Argv& argv, const ServiceSettings& s) {
  add(argv, "--host", listen_address(s));
  add(argv, "--port", std::to_string(s.port));
}

Result<Argv> infinilm_legacy(const ServiceSettings& s) {
  auto argv = program(s, {"python3"});
  if (!argv) return argv;
  if (s.launch_script.empty()) return needs(EngineKind::infinilm, "launch_script", "with flags = legacy: the script");
  argv->push_back(s.launch_script);
  add(*argv, "--port", std::to_string(s.port));
  add(*argv, "--host", listen_address(s));
  add(*argv, "--model-path", s.path);
  add_text(*argv, "--dev", s.device);
  add_count(*argv, "--ndev", s.tp);
  add_count(*argv, "--max-batch", s.max_batch);
  add_count(*argv, "--max-tokens", s.max_tokens);
  add_switch(*argv, "--awq", s.awq);
  add_count(*argv, "--request-timeout", s.request_timeout_s);
  add_count(*argv, "--max-concurrency", s.max_concurrency);
  return argv;
}

Result<Argv> infinilm(const ServiceSettings& s, std::int64_t rank) {
  if (s.path.empty()) return needs(EngineKind::infinilm, "path", "the model folder");
  if (s.flags == "legacy") return infinilm_legacy(s);
  if (s.flags != "current") return invalid("flags must be current or legacy, got '" + s.flags + "'");
  auto argv = program(s, {"python3"});
  if (!argv) return argv;
  if (s.launch_script.empty()) {
    argv->insert(argv->end(), {"-m", "infinilm.server.inference_server"});
  } else {
    argv->push_back(s.launch_script);
  }
  add(*argv, "--model", s.path);
  add_text(*argv, "--device", s.device);
  add_count(*argv, "--tp", s.tp);
  if (s.pp > 1) {
    add(*argv, "--pp", std::to_string(s.pp));
    add(*argv, "--node-rank", std::to_string(rank));
    add(*argv, "--master-addr", s.master_addr);
    add(*argv, "--master-port", std::to_string(rendezvous_port(s)));
  }
  add_address(*argv, s);
  add_switch(*argv, "--enable-paged-attn", s.paged_attention);
  add_count(*argv, "--max-batch-size", s.max_batch);
  add_count(*argv, "--max-new-tokens", s.max_tokens);
  return argv;
}

Result<Argv> infinilm_rust(const ServiceSettings& s) {
  if (s.path.empty()) return needs(EngineKind::infinilm_rust, "path", "the engine's TOML");
  auto argv = program(s, {"xtask"});
  if (!argv) return argv;
  argv->insert(argv->end(), {"service", s.path, "-p", std::to_string(s.port)});
  return argv;
}

Result<Argv> vllm(const ServiceSettings& s) {
  if (s.path.empty()) return needs(EngineKind::vllm, "path", "the model");
  auto argv = program(s, {"vllm"});
  if (!argv) return argv;
  argv->insert(argv->end(), {"serve", s.path});
  add_address(*argv, s);
  add_count(*argv, "--tensor-parallel-size", s.tp);
  if (s.pp > 1) add_count(*argv, "--pipeline-parallel-size", s.pp);
  return argv;
}

Result<Argv> sglang(const ServiceSettings& s) {
  if (s.path.empty()) return needs(EngineKind::sglang, "path", "the model");
  auto argv = program(s, {"python3"});
  if (!argv) return argv;
  argv->insert(argv->end(), {"-m", "sglang.launch_server", "--model-path", s.path});
  add_address(*argv, s);
  add_count(*argv, "--tp", s.tp);
  return argv;
}

Result<Argv> llama_cpp(const ServiceSettings& s) {
  if (s.path.empty()) return needs(EngineKind::llama_cpp, "path", "the model's GGUF file");
  auto argv = program(s, {"llama-server"});
  if (!argv) return argv;
  // Not -m: Python's llama_cpp.server, which may be the command, has no such flag.
  add(*argv, "--model", s.path);
  add_address(*argv, s);
  return argv;
}

Result<Argv> sim(const ServiceSettings& s) {
  auto argv = program(s, {"infinilm-sim"});
  if (!argv) return argv;
  add_address(*argv, s);
  for (const std::string& model : s.models) add(*argv, "--model", model);
  return argv;
}

Result<Argv> rank_argv(EngineKind kind, const ServiceSettings& s, std::int64_t rank) {
  switch (kind) {
    case EngineKind::command:
      if (s.command.empty()) return needs(kind, "command", "the program");
      return program(s, {});
    case EngineKind::infinilm: return infinilm(s, rank);
    case EngineKind::infinilm_rust: return infinilm_rust(s);
    case EngineKind::vllm: return vllm(s);
    case EngineKind::sglang: return sglang(s);
    case EngineKind::llama_cpp: return llama_cpp(s);
    case EngineKind::sim: return sim(s);
  }
  return internal_error("an engine kind without a command line");
}

/// How many processes an instance is. pp of vLLM is its own business, inside one process.
Result<std::int64_t> ranks_of(EngineKind kind, const ServiceSettings& s) {
  if (s.pp <= 1 || kind == EngineKind::vllm) return 1;
  const bool current = kind == EngineKind::infinilm && s.flags == "current";
  if (current || kind == EngineKind::command) return s.pp;
  return invalid("pp must be 1 for " + std::string(to_string(kind)) +
                 (kind == EngineKind::infinilm ? " with flags = legacy" : "") + ", got " + std::to_string(s.pp));
}

/// The earlier agent ran the older scripts in the folder above their own: InfiniLM for InfiniLM/scripts/launch_server.py.
/// A relative path already counts from the folder that it was written for.
std::string work_dir_of(EngineKind kind, const ServiceSettings& s) {
  if (!s.work_dir.empty() || kind != EngineKind::infinilm || s.flags != "legacy") return s.work_dir;
  if (!s.launch_script.starts_with('/')) return "";
  const std::size_t file = s.launch_script.rfind('/');
  const std::size_t folder = file == 0 ? std::string::npos : s.launch_script.rfind('/', file - 1);
  if (folder == std::string::npos) return "/";
  return folder == 0 ? "/" : s.launch_script.substr(0, folder);
}

Result<void> has_no_nul(std::string_view setting, std::string_view text) {
  if (text.find('\0') == std::string_view::npos) return {};
  return invalid(std::string(setting) + " must not have a NUL character");
}

Result<void> expand(std::string& text, std::string_view setting, const Placeholders& names) {
  if (auto clean = has_no_nul(setting, text); !clean) return clean;
  auto expanded = expand_placeholders(text, names);
  if (!expanded) return invalid(std::string(setting) + ": " + expanded.error().message);
  text = *std::move(expanded);
  return {};
}

Result<RankCommand> rank_command(EngineKind kind, const ServiceSettings& s, std::int64_t rank) {
  auto argv = rank_argv(kind, s, rank);
  if (!argv) return argv.error();
  const std::size_t own = argv->size();
  argv->insert(argv->end(), s.args.begin(), s.args.end());
  RankCommand made{*std::move(argv), s.env, work_dir_of(kind, s)};
  const Placeholders names = {
      {"PORT", std::to_string(s.port)}, {"HOST", s.host}, {"NAME", s.name}, {"RANK", std::to_string(rank)}};
  for (std::size_t i = 0; i < made.argv.size(); ++i) {
    if (auto done = expand(made.argv[i], i < own ? "command" : "args", names); !done) return done.error();
  }
  for (auto& [name, value] : made.env) {
    if (auto done = expand(value, "env." + name, names); !done) return done.error();
  }
  if (auto done = expand(made.work_dir, "work_dir", names); !done) return done.error();
  return made;
}

}  // namespace

Result<std::vector<RankCommand>> command_lines(const ServiceSettings& settings) {
  EngineKind kind{};
  if (!parse_engine_kind(settings.service_type, kind)) {
    return invalid("service_type " + unknown_engine_kind(settings.service_type));
  }
  const auto count = ranks_of(kind, settings);
  if (!count) return count.error();
  std::vector<RankCommand> ranks;
  for (std::int64_t rank = 0; rank < *count; ++rank) {
    auto command = rank_command(kind, settings, rank);
    if (!command) return command.error();
    ranks.push_back(*std::move(command));
  }
  return ranks;
}

std::uint16_t rendezvous_port(const ServiceSettings& settings) {
  if (settings.master_port != 0) return settings.master_port;
  const int above = settings.port + kRendezvousOffset;
  return static_cast<std::uint16_t>(above <= 65535 ? above : settings.port - kRendezvousOffset);
}

std::string listen_address(const ServiceSettings& settings) {
  if (!settings.listens_on.empty()) return settings.listens_on;
  const auto address = IpAddress::parse(without_brackets(settings.host));
  if (is_loopback_host(settings.host)) return address ? address->to_string() : "127.0.0.1";
  return address && !address->is_v4() ? "::" : "0.0.0.0";
}

std::string printable(const std::vector<std::string>& argv) { return joined_words(argv); }

}  // namespace svc::agent
