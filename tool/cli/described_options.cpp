#include "tool/cli/described_options.hpp"

#include <string>

#include "tool/cli/option_checks.hpp"

namespace hvp::tool {

void describe_run(CLI::App& run, RunOptions& options, std::string& firmware, std::string& driver) {
    run.add_option("stage", options.stage, "the stage, see ./playground list (default: launch)")
        ->type_name("STAGE");
    run.add_option("--driver", driver,
                   "run this driver instead of a stage's; its PDB, if in "
                   "the same folder, names its functions")
        ->type_name("FILE.sys");
    run.add_option("--model", options.model, "processor model")
        ->type_name("NAME")
        ->capture_default_str();
    run.add_option("--cpus", options.cpus, "processors, 1 to 8")
        ->type_name("N")
        ->transform(whole_number(1, 8))
        ->capture_default_str();
    run.add_option("--processor", options.processor,
                   "the driver starts on this one, 0 and up; by default the seed chooses")
        ->type_name("N")
        ->transform(whole_number(0, 7));
    run.add_option("--memory", options.memory_mib, "RAM in MiB, 64 to 4096")
        ->type_name("MIB")
        ->transform(whole_number(64, 4096))
        ->capture_default_str();
    run.add_option("--firmware-vmx", firmware,
                   "how firmware leaves IA32_FEATURE_CONTROL: locked-on, locked-off, unlocked")
        ->type_name("HOW")
        ->check(CLI::IsMember({"locked-on", "locked-off", "unlocked"}))
        ->capture_default_str();
    run.add_option("--timeout-ticks", options.timeout_ticks,
                   "end a machine that still executes after so many instructions")
        ->type_name("N")
        ->transform(whole_number(1, std::uint64_t{1} << 60))
        ->capture_default_str();
    run.add_option("--seed", options.seed, "for everything the lab chooses at random")
        ->type_name("N")
        ->transform(whole_number(0, std::numeric_limits<std::uint64_t>::max()))
        ->capture_default_str();
    run.add_option("--loads", options.loads, "load and unload the driver so many times in a row")
        ->type_name("N")
        ->transform(whole_number(1, 10'000))
        ->capture_default_str();
    run.add_flag("--odd-state", options.odd_state,
                 "give DR7, FS base, SYSENTER, DEBUGCTL, RFLAGS.AC unusual values before");
    run.add_option("--fail-allocation", options.fail_allocation,
                   "let the driver's Nth allocation fail")
        ->type_name("N")
        ->transform(whole_number(1, 1'000'000));
    run.add_flag("--keep", options.keep, "keep the emulator's whole log and its files");
    run.add_flag("--record", options.record,
                 "run the machine once more, and write what the VMCS held at each VM entry and "
                 "exit to vmcs.jsonl, for ./playground vmcs; on one processor");
    run.add_flag("--json", options.json, "print summary.json and nothing else");
    run.add_flag("--all-events", options.all_events,
                 "list all events of a kind, even more than 10,000");
    run.add_flag("!--no-processor-log", options.processor_log,
                 "several times faster where a guest exits very often, but the processor is then "
                 "no witness; for --driver only");
}

void describe_vmcs(CLI::App& vmcs, VmcsOptions& options) {
    vmcs.add_option("run", options.run, "the folder of a run (default: runs/latest)")
        ->type_name("RUN");
    CLI::Option* at =
        vmcs.add_option("--at", options.at,
                        "exit:N or entry:N, from 1; entry:N comes before exit:N (default: entry:1)")
            ->type_name("MOMENT");
    vmcs.add_option("--diff", options.difference, "two moments: what differs between them")
        ->type_name("MOMENT MOMENT")
        ->expected(2)
        ->excludes(at);
    vmcs.add_flag("--all", options.all, "fields that are 0, too");
    vmcs.add_flag("--json", options.json, "print JSON and nothing else");
}

void describe_explain(CLI::App& explain, ExplainOptions& options) {
    explain
        .add_option("file", options.file,
                    "a dump of a VMCS: a run's folder, \"name = value\" as printed by a driver, "
                    "KVM's and Xen's dumps; - reads standard input")
        ->type_name("FILE|-");
    explain
        .add_option("--model", options.model, "whose capability MSRs count where the dump has none")
        ->each([&options](const std::string&) { options.has_model = true; })
        ->type_name("NAME")
        ->capture_default_str();
    explain.add_flag("--json", options.json, "print JSON and nothing else");
    struct Number {
        const char* name;
        std::string& value;
        const char* about;
    };
    for (const Number& number :
         {Number{"--exit", options.exit, "an exit reason"},
          Number{"--qualification", options.qualification, "its exit qualification"},
          Number{"--error", options.error, "a VM-instruction error"},
          Number{"--controls", options.controls, "pin=, primary=, secondary=, exit= or entry="},
          Number{"--field", options.field, "a field's encoding or name"},
          Number{"--interruption", options.interruption, "interruption information"},
          Number{"--access-rights", options.access_rights, "a segment's access rights"},
          Number{"--ept-entry", options.ept_entry, "an entry of EPT paging structures"},
          Number{"--cr4", options.cr4, "a value of CR4"},
          Number{"--status", options.status, "an NTSTATUS"}}) {
        explain.add_option(number.name, number.value, number.about)->type_name("NUMBER");
    }
}

}  // namespace hvp::tool
