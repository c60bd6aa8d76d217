# The rules of VM entry, each by itself.
hvp_test(entry_checks_tests
    unit/vmcs/entry_checks/control_cases.cpp unit/vmcs/entry_checks/guest_register_cases.cpp
    unit/vmcs/entry_checks/guest_segment_cases.cpp unit/vmcs/entry_checks/guest_state_cases.cpp
    unit/vmcs/entry_checks/host_cases.cpp unit/vmcs/entry_checks/injection_rules_test.cpp
    unit/vmcs/entry_checks/rules_test.cpp
    unit/vmcs/entry_checks/subject.cpp)
