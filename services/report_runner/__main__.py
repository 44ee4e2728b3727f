from services.report_runner.app import main

main()
