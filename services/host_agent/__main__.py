from services.host_agent.app import main

main()
