from services.traffic.app import main

main()
